// Filters, links and keys. The state is in the address: #claim-id?verdict=REFUTED&q=word
(async () => {
  const $ = (selector) => document.querySelector(selector), $$ = (selector) => [...document.querySelectorAll(selector)];
  const form = $(".filters"), help = $("#_help"), root = document.documentElement;
  const SINGLE = ["kind", "collection", "document", "weights", "label", "model"];

  function theme() {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("refutable-theme", root.dataset.theme); } catch { /* a file may have no storage */ }
  }
  try { const kept = localStorage.getItem("refutable-theme"); if (kept) root.dataset.theme = kept; } catch { /* as above */ }
  const act = { theme, help: () => help.showModal(), clear: () => { form.reset(); changed(); } };
  $$("[data-do]").forEach((button) => button.addEventListener("click", () => act[button.dataset.do]()));

  async function unpack(text) {
    const raw = atob(text), bytes = new Uint8Array(raw.length);
    for (let at = 0; at < raw.length; at += 1) bytes[at] = raw.charCodeAt(at); // a tenth of the time of Uint8Array.from
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  }
  let data;
  try { data = await unpack($("#_data").textContent); } catch { return; } // an old browser: what is written stays as it is

  const claims = new Map(data.claims.map((claim) => [claim.id, claim]));
  const places = new Map($$("details.claim").map((place) => [place.id, place]));
  const rows = new Map($$("tr[data-claim]").map((row) => [row.dataset.claim, row]));
  const cells = $$(".cell[data-a]"), columns = $$(".matrix thead th").slice(1).map((one) => one.textContent);
  const numbers = cells.map((cell) => +cell.dataset.a);
  const shows = new Map(), style = document.head.appendChild(document.createElement("style"));
  const answersOf = (claim) => (claim.answers || []).map((at) => data.answers[at]);
  const columnOf = new Map(cells.map((cell, at) => [numbers[at], cell.parentNode.dataset.s]));
  const texts = new Map();
  const text = (id) => { if (!texts.has(id)) texts.set(id, (id + " " + places.get(id).textContent).toLowerCase()); return texts.get(id); };

  function address() {
    const raw = location.hash.slice(1), cut = raw.indexOf("?");
    let id = cut < 0 ? raw : raw.slice(0, cut);
    try { id = decodeURIComponent(id); } catch { /* as it is */ }
    return [id, new URLSearchParams(cut < 0 ? "" : raw.slice(cut + 1))];
  }
  function asked() {
    const found = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) found.append(name, value);
    return found;
  }
  function write(id, params) {
    const query = params.toString();
    history.replaceState(null, "", "#" + id + (query ? "?" + query : ""));
  }
  function changed() { write(address()[0], asked()); filter(); }

  function filter() {
    const want = asked(), verdicts = want.getAll("verdict"), words = (want.get("q") || "").toLowerCase().split(/\s+/).filter(Boolean);
    const [kind, of, from, weights, label, model] = SINGLE.map((name) => want.get(name));
    const ofAnswers = verdicts.length || weights || label || model;
    const fits = new Set();
    data.answers.forEach((a, at) => {
      if ((!verdicts.length || verdicts.includes(a.v)) && (!weights || a.o === weights) && (!label || (a.l || []).some((one) => one[2] === label)) && (!model || columnOf.get(at) === model)) fits.add(at);
    });
    let claimCount = 0, answerCount = 0;
    const used = new Set();
    for (const claim of data.claims) {
      const mine = (claim.answers || []).filter((at) => fits.has(at));
      const seen = (!kind || claim.kind === kind) && (!of || claim.collection === of) && (!from || claim.document === from) && words.every((word) => text(claim.id).includes(word)) && (mine.length || !ofAnswers);
      places.get(claim.id).hidden = !seen;
      if (rows.has(claim.id)) rows.get(claim.id).hidden = !seen;
      if (seen) { claimCount += 1; answerCount += mine.length; mine.forEach((at) => used.add(columnOf.get(at))); }
    }
    cells.forEach((cell, at) => cell.classList.toggle("off", !fits.has(numbers[at])));
    const off = columns.map((name, at) => (used.has(name) ? "" : `.matrix tr:not(.section)>:nth-child(${at + 2})`)).filter(Boolean);
    const rule = off.length ? `${off.join(",")}{display:none}` : "";
    if (style.textContent !== rule) {
      style.textContent = rule;
      $(".matrix").style.setProperty("--n", used.size);
      $$(".matrix tr.section th").forEach((th) => { th.colSpan = used.size + 1; }); // as many columns as are left
    }
    $$(".matrix tbody").forEach((body) => { body.hidden = !body.querySelector("tr[data-claim]:not([hidden])"); });
    $$("#_main .document .section, #_main .document, #_main .collection").forEach((one) => { one.hidden = !one.querySelector(".claim:not([hidden])"); });
    $(".shown").textContent = `${claimCount} of ${data.claims.length} claims, ${answerCount} of ${data.answers.length} answers`;
  }

  function open(place, wanted) {
    const claim = claims.get(place.id), answers = answersOf(claim);
    if (!shows.has(place.id)) {
      const chosen = (answer) => { const params = asked(); params.set("on", answer.id); write(place.id, params); };
      shows.set(place.id, Draw.claim(place.querySelector(".inside"), claim, answers, data.origins, chosen));
      if (answers.length && !wanted) shows.get(place.id)(answers[0]);
    }
    const answer = wanted && answers.find((one) => one.id === wanted);
    if (answer || (wanted && answers.length)) shows.get(place.id)(answer || answers[0]);
  }
  places.forEach((place) => place.addEventListener("toggle", () => { if (place.open) open(place); }));

  function follow() {
    const [id, params] = address();
    form.reset();
    for (const [name, value] of params) {
      const field = form.elements[name];
      if (name === "verdict") form.querySelectorAll("[name=verdict]").forEach((box) => { if (box.value === value) box.checked = true; });
      else if (field) field.value = value;
    }
    filter();
    const place = places.get(id);
    if (place) {
      place.hidden = false;
      for (let up = place.parentElement; up; up = up.parentElement) up.hidden = false;
      open(place, params.get("on"));
      place.open = true;
      const reach = () => place.scrollIntoView({ behavior: "instant", block: "start" });
      reach();
      requestAnimationFrame(() => requestAnimationFrame(reach)); // what comes into view has another height than was guessed
      place.querySelector("summary").focus({ preventScroll: true });
    } else if (params.toString() && id && document.getElementById(id)) document.getElementById(id).scrollIntoView({ behavior: "instant" });
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.cell[data-a], a[href^='#']");
    if (!link) return;
    const id = link.getAttribute("href").slice(1);
    if (!claims.has(id)) return;
    const params = asked(); // a link to a claim keeps the filters
    if (link.dataset.a) params.set("on", data.answers[+link.dataset.a].id);
    event.preventDefault();
    history.pushState(null, "", "#" + id + (params.toString() ? "?" + params : ""));
    follow();
  });
  document.addEventListener("pointerover", (event) => {
    const cell = event.target.closest(".cell[data-a]");
    if (cell) cell.title = cell.getAttribute("aria-label");
  });
  addEventListener("hashchange", follow);
  addEventListener("popstate", follow);
  form.addEventListener("input", changed);
  form.addEventListener("submit", (event) => event.preventDefault());

  function step(by) {
    const all = $$("details.claim:not([hidden]) > summary"), at = all.indexOf(document.activeElement);
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)];
    if (next) { next.focus(); next.scrollIntoView({ block: "nearest" }); }
  }
  function toggle(value) {
    const box = form.querySelector(`[value=${value}]`);
    if (box) { const on = !box.checked; form.querySelectorAll("[name=verdict]").forEach((one) => { one.checked = false; }); box.checked = on; changed(); }
  }
  const keys = {
    "/": () => form.elements.q.focus(), j: () => step(1), k: () => step(-1), x: act.clear, t: theme, "?": act.help,
    o: () => { const place = document.activeElement.closest("details.claim"); if (place) place.open = !place.open; },
    1: () => toggle("REFUTED"), 2: () => toggle("SUPPORTED"), 3: () => toggle("INCONCLUSIVE"),
  };
  addEventListener("keydown", (event) => {
    if (event.target.matches("input, select, textarea")) { if (event.key === "Escape") event.target.blur(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || help.open || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  follow();
  root.dataset.ready = "true";
  performance.mark("refutable-ready");
})();
