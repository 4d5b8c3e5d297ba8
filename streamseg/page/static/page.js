"use strict";
// The page of a live run: asks for its state twice a second, and sends back what is to change.

const $ = (id) => document.getElementById(id);
const EVERY_MS = 500;
const KEPT = 120; // points of a chart: a minute
const history = { fps: [], latency: [], dropped: [] };
let state = null;
let paused = false;
let away = false;
let streamed = false;

async function ask(path, values) {
  const request = values === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(values),
  };
  const answer = await fetch(path, request);
  const said = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(said.error), { status: answer.status });
  return said;
}

function tell(sentence) {
  $("trouble").textContent = sentence;
  $("trouble").hidden = !sentence;
}

// The token lies behind '#', which the browser sends to nobody; it is handed in once.
async function login() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  window.history.replaceState(null, "", location.pathname);
  await ask("api/login", { token });
}

async function change(values) {
  try {
    show(await ask("api/draw", values));
    tell("");
  } catch (error) {
    tell(error.message);
    if (state) showControls(state);
  }
}

function startStream() {
  streamed = true;
  $("picture").src = `stream.mjpg?${Date.now()}`;
}

$("picture").addEventListener("load", () => {
  $("picture").hidden = false;
  $("waiting").hidden = true;
});
$("picture").addEventListener("error", () => { streamed = false; });

async function refresh() {
  try {
    const fresh = await ask("api/state");
    if (away) streamed = false; // the server was started again: its stream is a new one
    away = false;
    show(fresh);
    remember(fresh);
    if (!streamed && !paused && fresh.state !== "ended" && fresh.frames + fresh.recent.fps > 0) {
      startStream();
    }
  } catch (error) {
    if (error.status === 401) {
      tell(error.message);
    } else {
      away = true;
      showBadge("away", "server gone");
    }
  }
  setTimeout(refresh, EVERY_MS);
}

function showBadge(kind, text) {
  $("state").dataset.state = kind;
  $("state").textContent = text;
}

function show(fresh) {
  const first = state === null || !state.classes;
  state = fresh;
  showBadge(fresh.state, fresh.state);
  $("source").textContent = fresh.source || "";
  document.title = fresh.source ? `${fresh.source} · streamseg` : "streamseg";
  showControls(fresh);
  if (fresh.classes) showClasses(fresh.classes, first);
  showFacts(fresh);
  showEvents(fresh.events);
}

function fill(select, values, value) {
  if (select.options.length !== values.length) {
    select.replaceChildren(...values.map((name) => new Option(name, name)));
  }
  if (document.activeElement !== select) select.value = value;
}

function showControls(fresh) {
  fill($("mode"), fresh.modes, fresh.draw.mode);
  const palettes = fresh.palettes.includes(fresh.draw.palette)
    ? fresh.palettes : [...fresh.palettes, fresh.draw.palette];
  fill($("palette"), palettes, fresh.draw.palette);
  if (document.activeElement !== $("alpha")) $("alpha").value = fresh.draw.alpha;
  $("contours").checked = fresh.draw.contours;
  $("legend").checked = fresh.draw.legend;
  $("exact").checked = fresh.draw.edges === "exact";
  $("record").hidden = fresh.recording === undefined;
  $("record").setAttribute("aria-pressed", String(Boolean(fresh.recording)));
  $("record").textContent = fresh.recording ? "Stop recording" : "Record";
}

function showClasses(classes, first) {
  const list = $("classes");
  if (first || list.children.length !== classes.length) {
    list.replaceChildren(...classes.map((entry) => {
      const item = document.createElement("li");
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.addEventListener("change", chooseClasses);
      const name = document.createElement("span");
      name.textContent = entry.name;
      const share = document.createElement("span");
      share.className = "share";
      label.append(box, document.createElement("i"), name, share);
      item.append(label);
      return item;
    }));
  }
  classes.forEach((entry, index) => {
    const label = list.children[index].firstChild;
    const [box, swatch, , share] = label.children;
    box.checked = entry.drawn;
    swatch.style.background = entry.colour;
    share.textContent = entry.share ? `${(100 * entry.share).toFixed(1)} %` : "";
    label.classList.toggle("none", !entry.share);
  });
}

function chooseClasses() {
  const chosen = state.classes
    .map((entry) => entry.name)
    .filter((_, index) => $("classes").children[index].firstChild.firstChild.checked);
  change({ classes: chosen });
}

function showFacts(fresh) {
  const facts = {
    model: fresh.model,
    network: fresh.size && fresh.size.join(" × "),
    frames: fresh.frames,
    "dropped in all": fresh.dropped,
    running: clock(fresh.seconds),
    viewers: fresh.viewers,
  };
  if (fresh.recording) facts.recording = `${fresh.recording.file}, ${fresh.recording.frames} frames`;
  $("facts").replaceChildren(...Object.entries(facts)
    .filter(([, value]) => value !== undefined)
    .flatMap(([name, value]) => {
      const term = document.createElement("dt");
      const fact = document.createElement("dd");
      term.textContent = name;
      fact.textContent = value;
      return [term, fact];
    }));
}

function showEvents(events) {
  $("events").replaceChildren(...events.slice(-50).reverse().map((event) => {
    const item = document.createElement("li");
    const time = document.createElement("time");
    time.textContent = new Date(1000 * event.at).toLocaleTimeString();
    item.append(time, event.text);
    return item;
  }));
}

function clock(seconds) {
  const whole = Math.round(seconds);
  const two = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const rest = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

function remember(fresh) {
  const { fps, latency_p50_ms: p50, latency_p95_ms: p95, dropped } = fresh.recent;
  const points = { fps: [fps], latency: [p50, p95], dropped: [dropped] };
  for (const [name, values] of Object.entries(points)) {
    history[name].push(values);
    history[name].splice(0, history[name].length - KEPT);
    draw($(`chart-${name}`), history[name]);
  }
  $("fps").textContent = fps.toFixed(1);
  $("latency").textContent = p50 === null ? "–" : `${p50.toFixed(0)}, ${p95.toFixed(0)}`;
  $("dropped").textContent = dropped;
}

function draw(canvas, points) {
  const scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const colour = getComputedStyle(document.documentElement).getPropertyValue("--accent");
  const most = Math.max(1e-9, ...points.flat().filter((value) => value !== null));
  for (let line = 0; line < points[0].length; line++) {
    pen.beginPath();
    pen.strokeStyle = colour;
    pen.globalAlpha = line ? 0.45 : 1;
    pen.lineWidth = 1.5;
    points.forEach((values, index) => {
      if (values[line] === null) return;
      const x = width - ((points.length - 1 - index) * width) / (KEPT - 1);
      pen.lineTo(x, height - 2 - (values[line] / most) * (height - 6));
    });
    pen.stroke();
  }
}

function pause() {
  paused = !paused;
  $("pause").textContent = paused ? "Go on" : "Pause";
  $("paused").hidden = !paused;
  if (paused) {
    streamed = false;
    $("picture").src = `snapshot.jpg?${Date.now()}`;
  } else {
    startStream();
  }
}

function snapshot() {
  const link = document.createElement("a");
  const now = new Date().toISOString().replace(/[:.]/g, "-");
  link.href = paused ? $("picture").src : "snapshot.jpg";
  link.download = `streamseg-${now}.jpg`;
  link.click();
}

async function record() {
  try {
    show(await ask("api/record", { on: !state.recording }));
    tell("");
  } catch (error) {
    tell(error.message);
  }
}

function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else $("stage").requestFullscreen();
}

let settling = null;
$("alpha").addEventListener("input", () => {
  const alpha = Number($("alpha").value);
  clearTimeout(settling);
  settling = setTimeout(() => change({ alpha }), 40);
});
$("alpha").addEventListener("change", () => $("alpha").blur());
for (const name of ["mode", "palette"]) {
  $(name).addEventListener("change", () => {
    $(name).blur();
    change({ [name]: $(name).value });
  });
}
for (const name of ["contours", "legend"]) {
  $(name).addEventListener("change", () => change({ [name]: $(name).checked }));
}
$("exact").addEventListener("change", () => change({ edges: $("exact").checked ? "exact" : "smooth" }));
$("all").addEventListener("click", () => change({ classes: null }));
$("pause").addEventListener("click", pause);
$("snapshot").addEventListener("click", snapshot);
$("record").addEventListener("click", record);
$("full").addEventListener("click", fullScreen);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (["INPUT", "SELECT"].includes(event.target.tagName)) return;
  const keys = { " ": pause, s: snapshot, r: record, f: fullScreen };
  if (event.target.tagName === "BUTTON" && event.key === " ") return;
  const act = keys[event.key];
  if (act && !(act === record && $("record").hidden)) {
    event.preventDefault();
    act();
  }
});
// A hidden tab costs nothing.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    streamed = false;
    $("picture").removeAttribute("src");
  } else if (!paused && state && state.frames) {
    startStream();
  }
});

login().catch((error) => tell(error.message)).finally(refresh);
