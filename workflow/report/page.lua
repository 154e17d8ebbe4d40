-- What pandoc leaves out: tables that can be scrolled with the keyboard in HTML; in PDF, short tables that stay on a
-- page, and words for images.

local SHORT = 12

function Table(content)
  if FORMAT:match("html") then
    local attributes = { { "role", "region" }, { "tabindex", "0" }, { "aria-label", "Table" } }
    return pandoc.Div(content, pandoc.Attr("", { "table" }, attributes))
  elseif FORMAT == "typst" and #content.bodies[1].body <= SHORT then
    return { pandoc.RawBlock("typst", "#block(breakable: false)["), content, pandoc.RawBlock("typst", "]") }
  end
end

function Image(image)
  if FORMAT == "typst" then
    -- The reader has put the attribute alt in the place of the image's own text.
    local words = pandoc.utils.stringify(image.caption):gsub('[\\"]', "\\%0")
    return pandoc.RawInline("typst", string.format('#image("%s", alt: "%s")', image.src, words))
  end
end
