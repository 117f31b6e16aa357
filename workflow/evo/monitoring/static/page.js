// Draws /state.json, a document of monitor.schema.json. Text of others goes through textContent only.
"use strict";

const DASH = "—";
const POLL_MS = 2000;
const GLYPHS = { done: "✓", running: "▶", failed: "✗", interrupted: "‖", waiting: "·" };
const HEADS = [
  "variant", "jobs", "stage", "epoch", "batch", "left", "mAP50-95", "mAP50", "box", "cls", "dfl or l1", "s/epoch",
  "images/s", "tries", "incidents", "best", "int8", "CPU", "memory",
];
const TEXT = new Set(["jobs", "stage"]);

const at = (id) => document.getElementById(id);

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

const number = (value, digits = 0) => (value === null || value === undefined ? DASH : value.toFixed(digits));
const gib = (mib) => (mib === null ? DASH : `${(mib / 1024).toFixed(1)} GiB`);
const clock = (iso) => (iso ? new Date(iso).toLocaleTimeString("en-GB") : DASH);

function duration(seconds) {
  if (seconds === null || seconds === undefined) return DASH;
  const whole = Math.round(seconds);
  const two = (value) => String(value).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

function figures(parent, pairs) {
  parent.replaceChildren(...pairs.map(([name, value]) => {
    const pair = element("div");
    pair.append(element("dt", name), element("dd", value));
    return pair;
  }));
}

function stage(variant) {
  const phase = variant.training.phase;
  if (variant.state === "running") return variant.stage === "train" && phase && phase !== "finished" ? phase : variant.stage;
  if (variant.state === "done") return "done";
  return variant.state === "new" ? "not begun" : `${variant.state}: ${variant.stage}`;
}

function jobs(variant) {
  const strip = element("span");
  for (const job of variant.jobs) {
    const mark = element("span", GLYPHS[job.state], job.state);
    mark.title = [job.rule, job.board, job.state, job.seconds === null ? null : `${job.seconds} s`, job.words]
      .filter(Boolean).join(" · ");
    strip.append(mark);
  }
  const done = variant.jobs.filter((job) => job.state === "done").length;
  strip.setAttribute("role", "img");
  strip.setAttribute("aria-label", `${done} of ${variant.jobs.length} jobs are done`);
  return strip;
}

function row(variant) {
  const training = variant.training;
  const losses = training.losses || {};
  const live = variant.state === "running" && training.epoch !== null;
  const values = {
    epoch: `${training.epoch || 0}/${training.epochs}`,
    batch: training.batch === null || training.batches === null ? DASH : `${training.batch}/${training.batches}`,
    box: number(losses.box, 2),
    cls: number(losses.cls, 2),
    "dfl or l1": number(losses.dfl ?? losses.l1, 3),
    mAP50: number(training.map50, 3),
    "mAP50-95": number(training.map50_95, 3),
    best: number(variant.map50_95.float, 3),
    int8: number(variant.map50_95.int8, 3),
    "s/epoch": number(training.seconds_per_epoch, 1),
    "images/s": number(training.images_per_s),
    left: live && training.seconds_left !== null ? `≈ ${duration(training.seconds_left)}` : DASH,
    tries: training.attempts || DASH,
    CPU: training.cpu_percent === null ? DASH : `${number(training.cpu_percent)} %`,
    memory: gib(training.memory_mib),
    incidents: variant.incidents || DASH,
  };
  const made = element("tr");
  const head = element("th", variant.name);
  head.scope = "row";
  made.append(head);
  for (const name of HEADS.slice(1)) {
    const cell = element("td", undefined, TEXT.has(name) ? `text wide ${name}` : "");
    cell.dataset.head = name;
    if (name === "jobs") cell.append(jobs(variant));
    else if (name === "stage") cell.append(element("span", stage(variant), variant.state));
    else cell.textContent = values[name];
    if (cell.textContent === DASH) cell.classList.add("none");
    made.append(cell);
  }
  return made;
}

function message(head, text, className) {
  const item = element("li");
  item.append(element("b", head, className), document.createTextNode(text));
  return item;
}

function messages(state) {
  const items = [];
  for (const job of state.jobs) {
    if (job.state === "failed" || job.state === "running") items.push(message(job.rule, job.words || job.state, job.state));
  }
  for (const variant of state.variants) {
    if (variant.words) {
      const prefix = variant.state === "waiting" ? "waits with " : "";
      items.push(message(variant.name, `${prefix}${variant.stage}: ${variant.words}`, variant.state));
    }
    if (variant.incident) {
      items.push(message(`${clock(variant.incident.time)} ${variant.name}`, variant.incident.message, "stopped"));
    }
  }
  return items.length ? items : [element("li", "Nothing out of the ordinary.")];
}

function gpu(entry) {
  const facts = entry.figures;
  const box = element("div");
  box.append(element("strong", `${facts.name || facts.uuid} on ${entry.host}: ${entry.variant}`));
  const list = element("dl", undefined, "figures");
  const limit = facts.power_limit_w === null ? "" : ` of ${number(facts.power_limit_w)}`;
  figures(list, [
    ["busy", `${number(facts.utilisation_percent)} %`],
    ["memory", `${gib(facts.memory_used_mib)} of ${gib(facts.memory_total_mib)}`],
    ["temperature", `${number(facts.temperature_c)} °C`],
    ["power", `${number(facts.power_w)}${limit} W`],
  ]);
  box.append(list);
  return box;
}

function draw(state) {
  document.title = `${state.name}: ${state.state}`;
  at("name").textContent = state.name;
  at("state").textContent = state.state;
  at("state").className = `state ${state.state}`;
  const counts = Object.entries(state.counts).filter(([, count]) => count).map(([name, count]) => `${count} ${name}`);
  at("counts").textContent = `${state.variants.length} variants: ${counts.join(", ")}`;
  at("folder").textContent = `${state.folder}, looked at ${clock(state.time)}${state.words ? `; ${state.words}` : ""}`;
  at("progress").max = Math.max(state.epochs, 1);
  at("progress").value = state.epochs_done;
  figures(at("totals"), [
    ["epochs", `${state.epochs_done} of ${state.epochs}`],
    ["trained", duration(state.trained_s)],
    ["training left", state.seconds_left === null ? DASH : `≈ ${duration(state.seconds_left)}`],
    ["started", clock(state.started)],
    ["incidents", String(state.incidents)],
    ["retries", String(state.retries)],
    ["disk free", `${state.disk_free_gib} GiB`],
  ]);
  at("report").hidden = !state.report;
  at("gpus").replaceChildren(...state.gpus.map(gpu));
  at("variants").replaceChildren(...state.variants.map(row));
  at("messages").replaceChildren(...messages(state));
}

async function look() {
  try {
    const answer = await fetch("/state.json", { cache: "no-store" });
    if (!answer.ok) throw new Error(await answer.text());
    const state = await answer.json();
    draw(state);
    at("connection").textContent = "";
    // What is done becomes its report; /#live stays with the figures.
    if (state.state === "done" && state.report && location.hash !== "#live") location.replace("/report");
  } catch (error) {
    at("connection").textContent = `No news: ${error.message}`;
  }
  setTimeout(look, POLL_MS);
}

at("heads").append(...HEADS.map((name) => {
  const head = element("th", name, TEXT.has(name) ? "text" : "");
  head.scope = "col";
  return head;
}));
look();
