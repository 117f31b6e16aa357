// The page's own few lines: which variants are picked, which language and theme are shown. Vega draws, tablesort sorts.
"use strict";
(() => {
  const page = JSON.parse(document.getElementById("report-data").textContent);
  const root = document.documentElement;
  const main = document.getElementById("report");
  const bodies = { [root.lang]: [...main.childNodes] };
  const picked = new Set();
  const settings = {};
  let views = [];

  const clone = (value) => JSON.parse(JSON.stringify(value));
  const all = (selector) => [...main.querySelectorAll(selector)];

  function apply(result, name, value) {
    if (result.known.has(name)) result.view.signal(name, value).runAsync();
  }

  function pick(variant, on) {
    if (on) picked.add(variant);
    else picked.delete(variant);
    show();
  }

  function show() {
    const chosen = [...picked];
    views.forEach((result) => apply(result, "chosen", chosen));
    all('input[name="pick"]').forEach((box) => { box.checked = picked.has(box.value); });
    all("[data-variant]").forEach((item) => {
      const mine = picked.has(item.dataset.variant);
      item.classList.toggle("picked", mine);
      item.classList.toggle("faded", picked.size > 0 && !mine);
    });
    all("[data-clear]").forEach((button) => { button.disabled = picked.size === 0; });
  }

  async function draw(language) {
    views.forEach((result) => result.finalize());
    views = [];
    for (const place of all("[data-chart]")) {
      const spec = clone(page.charts[language][place.dataset.chart]);
      spec.datasets = page.datasets;
      // ast: expressions are interpreted, so that the page needs no permission for eval.
      const result = await vegaEmbed(place, spec, { ast: true, actions: false, renderer: "svg", config: page.config });
      if (main.lang !== language) return result.finalize();
      result.known = new Set((spec.params || []).map((parameter) => parameter.name));
      views.push(result);
      result.view.addEventListener("click", (event, item) => {
        const variant = item && item.datum && item.datum.variant;
        if (typeof variant === "string" && page.variants.includes(variant)) pick(variant, !picked.has(variant));
      });
      Object.entries(settings).forEach(([name, value]) => apply(result, name, value));
      apply(result, "chosen", [...picked]);
    }
    root.dataset.drawn = language;
  }

  function start(language) {
    main.lang = root.lang = language;
    all("table.sortable").forEach((table) => {
      if (!table.dataset.sorts) new Tablesort(table);
      table.dataset.sorts = "yes";
    });
    all("select[data-signal]").forEach((select) => {
      if (select.dataset.signal in settings) select.value = settings[select.dataset.signal];
    });
    main.querySelector("#theme").value = root.dataset.theme || "auto";
    show();
    return draw(language);
  }

  function translate(language) {
    if (!bodies[language]) {
      bodies[language] = [...document.getElementById(`report-${language}`).content.cloneNode(true).childNodes];
    }
    main.replaceChildren(...bodies[language]);
    document.title = main.querySelector("[data-title]").dataset.title;
    start(language);
    main.querySelector(`[data-language="${language}"]`).focus();
  }

  document.addEventListener("change", (event) => {
    const field = event.target;
    if (field.name === "pick") pick(field.value, field.checked);
    if (field.dataset.signal) {
      settings[field.dataset.signal] = field.value;
      all(`select[data-signal="${field.dataset.signal}"]`).forEach((other) => { other.value = field.value; });
      views.forEach((result) => apply(result, field.dataset.signal, field.value));
    }
    if (field.id === "theme") root.dataset.theme = field.value;
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.language) translate(button.dataset.language);
    if ("clear" in button.dataset) { picked.clear(); show(); }
  });

  root.classList.add("js");
  start(root.lang);
})();
