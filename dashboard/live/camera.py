"""The Live page's camera and screen in the browser: elements, and the script that sends frames and draws answers."""

CAMERA = """
<div class="camera">
  <p>
    <button type="button" data-camera="camera">Camera</button>
    <button type="button" data-camera="screen">Screen or window</button>
    <button type="button" data-camera="stop" disabled>Stop</button>
    <span class="hint" id="camera-said" role="status">Frames are sent one after the other, the latest first; none is
    kept.</span>
  </p>
  <video id="camera-video" muted playsinline hidden></video>
  <canvas id="camera-drawn" width="640" height="480" aria-label="What the network sees in the picture"></canvas>
  <div id="camera-figures"></div>
  <div id="camera-bars"></div>
</div>
"""
"""Elements of the tab."""

START = """() => {
  if (window.whichLayersCamera) return;
  const LONGEST = 640, AHEAD = 2, KEPT = 120;
  const now = window.whichLayersCamera = { socket: null, media: null, sent: [], trips: [], ends: [], told: "" };
  const at = (id) => document.getElementById(id);
  const say = (text) => { if (at("camera-said")) at("camera-said").textContent = text; };
  const part = (values, share) => [...values].sort((a, b) => a - b)[Math.floor(share * (values.length - 1))];

  function stop(text) {
    now.socket?.close();
    now.media?.getTracks().forEach((track) => track.stop());
    Object.assign(now, { socket: null, media: null, sent: [], trips: [], ends: [], told: "" });
    document.querySelectorAll('[data-camera="stop"]').forEach((button) => { button.disabled = true; });
    if (text) say(text);
  }

  async function send() {
    const video = at("camera-video"), socket = now.socket;
    if (!socket || socket.readyState !== WebSocket.OPEN || now.sent.length >= AHEAD || !video?.videoWidth) return;
    const chosen = at("stream-choice")?.dataset ?? {};
    const choice = JSON.stringify({ study: chosen.study, trial: chosen.trial, scanner: chosen.scanner,
                                    overlay: chosen.overlay });
    if (choice !== now.told) { socket.send(choice); now.told = choice; }
    const scale = Math.min(1, LONGEST / Math.max(video.videoWidth, video.videoHeight));
    const frame = new OffscreenCanvas(Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale));
    frame.getContext("2d").drawImage(video, 0, 0, frame.width, frame.height);
    const ticket = { at: performance.now(), frame };
    now.sent.push(ticket);
    socket.send(await frame.convertToBlob({ type: "image/jpeg", quality: 0.9 }));
  }

  async function show(message) {
    const ticket = now.sent.shift(), end = performance.now();
    send();
    const length = new DataView(message).getUint32(0);
    const said = JSON.parse(new TextDecoder().decode(new Uint8Array(message, 4, length)));
    const drawn = at("camera-drawn"), rest = message.byteLength - 4 - length;
    if (!ticket || !drawn) return;
    const picture = rest ? await createImageBitmap(new Blob([new Uint8Array(message, 4 + length)])) : ticket.frame;
    drawn.width = picture.width; drawn.height = picture.height;
    drawn.getContext("2d").drawImage(picture, 0, 0);
    at("camera-bars").innerHTML = said.problem ?? said.bars ?? "";
    if (said.problem) return;
    now.trips = [...now.trips, end - ticket.at].slice(-KEPT);
    now.ends = [...now.ends, end].slice(-KEPT);
    const rate = now.ends.length > 1 ? 1000 * (now.ends.length - 1) / (end - now.ends[0]) : 0;
    const area = said.area_pixels === undefined ? "" :
      `<div><dt>Area</dt><dd><b>${said.area_pixels.toLocaleString("en")}</b> pixels of ` +
      `${said.width} × ${said.height}</dd></div>`;
    const own = Object.values(said.milliseconds).reduce((a, b) => a + b, 0);
    at("camera-figures").innerHTML = `<dl class="figures">${area}<div><dt>Round trip</dt>` +
      `<dd><b>${part(now.trips, 0.5).toFixed(0)}</b> ms, 95 % within ${part(now.trips, 0.95).toFixed(0)}</dd>` +
      `<dd>decoded, answered and drawn in ${own.toFixed(0)}</dd></div>` +
      `<div><dt>Shown</dt><dd><b>${rate.toFixed(0)}</b> frames per second</dd></div></dl>`;
  }

  async function start(kind) {
    stop("");
    try {
      now.media = kind === "camera"
        ? await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 }, height: { ideal: 480 } } })
        : await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: 30 } });
    } catch (refused) { say(`No picture: ${refused.message}`); return; }
    now.media.getVideoTracks()[0].addEventListener("ended", () => stop("The picture ended."));
    const video = at("camera-video");
    video.srcObject = now.media;
    await video.play();
    const address = new URL(location.pathname.replace(/\\/?$/, "/stream"), location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    now.socket = new WebSocket(address);
    now.socket.binaryType = "arraybuffer";
    now.socket.onopen = () => { send(); setTimeout(send, 20); };
    now.socket.onmessage = (message) => show(message.data);
    now.socket.onclose = (why) => { if (why.target === now.socket) stop("The server closed the connection."); };
    document.querySelectorAll('[data-camera="stop"]').forEach((button) => { button.disabled = false; });
    say("");
  }

  document.addEventListener("click", (click) => {
    const wanted = click.target.closest?.("[data-camera]")?.dataset.camera;
    if (wanted === "stop") stop("Stopped.");
    else if (wanted) start(wanted);
  });
  window.addEventListener("pagehide", () => stop(""));
}"""
"""Runs once when the page is opened. Two frames are under way, so that the server never waits for the browser."""
