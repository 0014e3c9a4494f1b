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
  <div class="panes">
    <figure class="pane">
      <figcaption></figcaption>
      <canvas id="camera-drawn" width="640" height="480" aria-label="What the network sees in the picture"></canvas>
      <p class="problem" role="alert" hidden></p>
      <div class="pane-said"></div>
    </figure>
    <figure class="pane" hidden>
      <figcaption></figcaption>
      <canvas id="camera-drawn2" width="640" height="480" aria-label="What the second network sees in it"></canvas>
      <p class="problem" role="alert" hidden></p>
      <div class="pane-said"></div>
    </figure>
  </div>
  <div id="camera-figures"></div>
</div>
"""
"""Elements of the tab."""

START = """() => {
  if (window.whichLayersCamera) return;
  const LONGEST = 640, AHEAD = 2, KEPT = 120;
  const now = window.whichLayersCamera = { names: {} };
  const none = () => ({ socket: null, media: null, told: "", sent: [], count: 0, shown: 0, shows: 0, trips: [],
                        ends: [] });
  Object.assign(now, none());
  const at = (id) => document.getElementById(id);
  const say = (text) => { if (at("camera-said")) at("camera-said").textContent = text; };
  const part = (values, share) => [...values].sort((a, b) => a - b)[Math.floor(share * (values.length - 1))];

  function stop(text) {
    now.socket?.close();
    now.media?.getTracks().forEach((track) => track.stop());
    Object.assign(now, none());
    document.querySelectorAll('[data-camera="stop"]').forEach((button) => { button.disabled = true; });
    if (text) say(text);
  }

  function send() {
    const video = at("camera-video"), socket = now.socket;
    if (!socket || socket.readyState !== WebSocket.OPEN || now.sent.length >= AHEAD || !video?.videoWidth) return;
    const { label, label2, ...choice } = at("stream-choice")?.dataset ?? {};
    Object.assign(now.names, { [choice.trial]: label, [choice.trial2]: label2 });
    const told = JSON.stringify(choice);
    if (told !== now.told) { socket.send(told); now.told = told; }
    const scale = Math.min(1, LONGEST / Math.max(video.videoWidth, video.videoHeight));
    const frame = document.createElement("canvas");
    frame.width = Math.round(video.videoWidth * scale); frame.height = Math.round(video.videoHeight * scale);
    frame.getContext("2d").drawImage(video, 0, 0, frame.width, frame.height);
    now.sent.push({ number: ++now.count, at: performance.now(), frame });  // numbered as the server counts
    // toBlob waits for a browser that has nothing to do: a second and more on a busy one.
    const [, content] = frame.toDataURL("image/jpeg", 0.9).split(",");
    socket.send(Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0)));
  }

  async function show(message, socket) {
    const end = performance.now(), length = new DataView(message).getUint32(0);
    if (socket !== now.socket) return;
    const said = JSON.parse(new TextDecoder().decode(new Uint8Array(message, 4, length)));
    const ticket = now.sent.find((one) => one.number === said.frame);
    now.sent = now.sent.filter((one) => one.number > said.frame);  // frames before it were replaced
    send(); setTimeout(send, 20);
    if (!ticket) return;
    const answers = said.pair ?? [said], bytes = said.bytes ?? [message.byteLength - 4 - length];
    const pictures = await Promise.all(answers.map((one, place) => {
      const begin = 4 + length + (place ? bytes[0] : 0);
      return bytes[place] ? createImageBitmap(new Blob([new Uint8Array(message, begin, bytes[place])])) : ticket.frame;
    }));
    if (socket !== now.socket || said.frame < now.shown) return;
    now.shown = said.frame;
    document.querySelectorAll(".camera .pane").forEach((pane, place) => {
      pane.hidden = place >= answers.length;
      if (!pane.hidden) fill(pane, answers[place], pictures[place], answers.length > 1);
    });
    if (answers.every((one) => one.problem)) return;
    if (now.shows !== answers.length) Object.assign(now, { shows: answers.length, trips: [], ends: [] });
    now.trips = [...now.trips, end - ticket.at].slice(-KEPT);
    now.ends = [...now.ends, end].slice(-KEPT);
    const rate = now.ends.length > 1 ? 1000 * (now.ends.length - 1) / (end - now.ends[0]) : 0;
    const own = answers.map(spent).reduce((a, b) => a + b, 0);
    at("camera-figures").innerHTML = `<dl class="figures"><div><dt>Round trip${said.pair ? " of both" : ""}</dt>` +
      `<dd><b>${part(now.trips, 0.5).toFixed(0)}</b> ms, 95 % within ${part(now.trips, 0.95).toFixed(0)}</dd>` +
      `<dd>decoded, answered and drawn in ${own.toFixed(0)}</dd></div>` +
      `<div><dt>Shown</dt><dd><b>${rate.toFixed(0)}</b> frames per second</dd></div></dl>`;
  }

  const spent = (one) => Object.values(one.milliseconds ?? {}).reduce((a, b) => a + b, 0);

  const unlike = (one) => {
    const ways = [one.distance > one.distance_threshold && "what the network makes of it",
                  one.look > one.look_threshold && "its look"].filter(Boolean);
    return `This picture is unlike anything that this network was trained on, by ${ways.join(" and by ")}. ` +
      "Do not trust what it says of it.";
  };

  function fill(pane, one, picture, beside) {
    const drawn = pane.querySelector("canvas");
    drawn.width = picture.width; drawn.height = picture.height;
    drawn.getContext("2d").drawImage(picture, 0, 0);
    pane.querySelector("figcaption").textContent = beside ? now.names[one.trial] ?? "" : "";
    const warning = pane.querySelector("p.problem"), text = one.unlike ? unlike(one) : "";
    if (warning.textContent !== text) { warning.textContent = text; warning.hidden = !text; }  // read aloud once
    const time = beside ? `<dd>answered in ${spent(one).toFixed(0)} ms</dd>` : "";
    pane.querySelector(".pane-said").innerHTML = one.problem ?? one.bars ??
      `<dl class="figures"><div><dt>Area</dt><dd><b>${one.area_pixels.toLocaleString("en")}</b> pixels of ` +
      `${one.width} × ${one.height}</dd>${time}</div></dl>`;
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
    const socket = now.socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => { send(); setTimeout(send, 20); };
    socket.onmessage = (message) => show(message.data, socket);
    socket.onclose = (end) => {
      if (end.target === now.socket) stop(end.reason || "The server closed the connection.");
    };
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
