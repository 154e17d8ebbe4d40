// A page that was opened from a disk may not start a Worker. There the search runs in a hidden frame, which takes and sends the
// same messages. The theme looks for the name IFrameWorker; without this file it would load one from another host.
window.IFrameWorker = class extends EventTarget {
  constructor(address) {
    super();
    const frame = document.createElement("iframe");
    this.inside = new Promise((ready) => {
      frame.onload = () => {
        const inside = frame.contentWindow, script = inside.document.createElement("script");
        inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
        script.onload = () => ready(inside);
        script.src = new URL(address, document.baseURI);
        inside.document.body.append(script);
      };
    });
    frame.hidden = true;
    frame.srcdoc = "<body></body>";
    document.body.append(frame);
  }
  async postMessage(data) {
    const inside = await this.inside;
    inside.dispatchEvent(new inside.MessageEvent("message", { data }));
  }
};
if (location.protocol === "file:") window.Worker = window.IFrameWorker;
