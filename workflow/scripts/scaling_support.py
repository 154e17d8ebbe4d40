"""The per-angle mode of the configuration with the quantile estimates: what fit, sampler and calibration share."""

from homodyne_lib.per_angle import PerAngleScaling, per_angle_scaling


def configured_scaling(scaling, phi, quantiles) -> PerAngleScaling:
    """Contrast and offset over the angles phi [deg], by the configuration's ``scaling`` and the content of scaling.json."""
    return per_angle_scaling(
        scaling["per_angle_mode"], phi, quantiles["contrast"], quantiles["offset"], scaling["fourier_order"]
    )
