"use strict";
// Draws what a claim opens into. Every text goes through textContent, so that none is ever read as HTML.
const Draw = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const MARKS = { SUPPORTED: "✓", REFUTED: "✗", INCONCLUSIVE: "?", NOT_MEASURED: "·", ERROR: "!" };

  function make(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) if (value !== undefined && value !== null) node.setAttribute(name, value);
    for (const child of children.flat(3)) if (child !== undefined && child !== null && child !== "") node.append(child);
    return node;
  }
  const h = (tag, attributes, ...children) => make(document.createElement(tag), attributes, children);
  const s = (tag, attributes, ...children) => make(document.createElementNS(SVG, tag), attributes, children);
  const num = (x) => (x === undefined || x === null ? "" : String(+x.toPrecision(4)).replace("-", "−"));
  const pill = (v) => h("span", { class: "pill " + v }, h("span", { "aria-hidden": "true" }, MARKS[v]), " " + v.replace("_", " "));
  const range = (o) => ("lo" in o || "hi" in o ? ` [${"lo" in o ? num(o.lo) : "unbounded"}, ${"hi" in o ? num(o.hi) : "unbounded"}]` : "");

  function scale(low, high, from, to) {
    const room = (high - low) * 0.07 || Math.abs(high) * 0.1 || 1;
    const [a, b] = [low - room, high + room];
    return Object.assign((x) => +(from + ((Math.min(Math.max(x, a), b) - a) / (b - a)) * (to - from)).toFixed(1), { low: a, high: b });
  }
  function ticks(axis) {
    const step = 10 ** Math.floor(Math.log10((axis.high - axis.low) / 2));
    const by = [1, 2, 5, 10].map((k) => k * step).find((k) => (axis.high - axis.low) / k <= 6) || step * 10;
    const found = [];
    for (let x = Math.ceil(axis.low / by) * by; x <= axis.high; x += by) found.push(+x.toPrecision(10));
    return found;
  }
  const ends = (region) => (region || []).filter((x) => x !== null);
  function extent(values) {
    const seen = values.filter((x) => x !== undefined && x !== null && isFinite(x));
    return seen.length ? [seen.reduce((a, b) => Math.min(a, b)), seen.reduce((a, b) => Math.max(a, b))] : null;
  }

  // One estimate with its interval on the claim's axis; the shaded side is what the claim predicts.
  function bar(o, axis, region, verdict, origin) {
    const [from, to] = [region[0] === null ? 0 : axis(region[0]), region[1] === null ? 240 : axis(region[1])];
    const [lo, hi] = ["lo" in o ? axis(o.lo) : 6, "hi" in o ? axis(o.hi) : 234];
    const caps = ("lo" in o ? `M${lo} 6v10` : "") + ("hi" in o ? `M${hi} 6v10` : "");
    const x = axis(o.e);
    return s("svg", { class: `bar ${verdict} o-${origin}`, viewBox: "0 0 240 22", role: "img", "aria-label": num(o.e) + range(o) },
      s("rect", { class: "region", x: from, y: 1, width: Math.abs(to - from), height: 20 }),
      ends(region).map((end) => s("path", { class: "threshold", d: `M${axis(end)} 1V21` })),
      range(o) ? s("path", { class: "interval", d: `M${lo} 11H${hi}${caps}` }) : "",
      origin === "table" ? s("rect", { class: "dot", x: x - 4, y: 7, width: 8, height: 8 }) : s("circle", { class: "dot", cx: x, cy: 11, r: 4.5 }));
  }
  const flat = (e) => e && Object.fromEntries([["e", e.v], ["lo", e.lo], ["hi", e.hi]].filter(([, x]) => x !== undefined));
  function axisOf(claim, answers) {
    const all = answers.flatMap((a) => [a.e && flat(a.e), ...(a.c || [])]).filter((o) => o && "e" in o);
    const seen = extent([...ends(claim.region), ...all.flatMap((o) => [o.e, o.lo, o.hi])]);
    return claim.region && all.length && seen ? scale(seen[0], seen[1], 6, 234) : null;
  }
  const originMark = (key, names) => h("span", { class: "origin o-" + key, title: names[key][1] }, s("svg", { "aria-hidden": "true" }, s("use", { href: "#_" + key })), names[key][0]);

  function block(title, wide, ...children) { return h("section", wide ? { class: "wide" } : {}, h("h6", {}, title), ...children); }
  const pairs = (list) => h("dl", { class: "pairs" }, list.map(([a, b]) => [h("dt", {}, a), h("dd", {}, b)]));
  const lines = (list) => h("ul", {}, list.map((text) => h("li", {}, text)));

  function bottom(axis, y, width) {
    return [s("path", { class: "grid", d: `M0 ${y}H${width}` }), ticks(axis).map((x) => s("text", { x: axis(x), y: y + 14, "text-anchor": "middle" }, num(x)))];
  }
  // Values by prompt, a row a category.
  function strip(sample) {
    const groups = sample.names.length ? sample.names : [""];
    const inside = ends(sample.region);
    const [low, high] = extent([...sample.values, ...inside]);
    const axis = scale(low, high, 150, 560), height = 20 * groups.length;
    const rows = groups.map((name, at) => {
      const mine = sample.values.map((v, i) => [v, i]).filter(([v, i]) => v !== null && (sample.categories[i] === at || !sample.names.length));
      const mean = mine.reduce((sum, [v]) => sum + v, 0) / mine.length;
      return s("g", { class: "c" + (at % 8) }, s("text", { x: 142, y: 20 * at + 14, "text-anchor": "end" }, name.length > 22 ? name.slice(0, 21) + "…" : name),
        mine.map(([v, i]) => s("circle", { cx: axis(v), cy: 20 * at + 10 + ((i * 7) % 9) - 4, r: 3, fill: "currentColor", "fill-opacity": ".72" }, s("title", {}, `${num(v)}  ${sample.prompts[i] || ""}`))),
        mine.length ? s("path", { d: `M${axis(mean)} ${20 * at + 2}v16`, stroke: "currentColor", "stroke-width": 2 }) : "");
    });
    return s("svg", { class: "chart", viewBox: `0 0 570 ${height + 20}`, role: "img", "aria-label": `${sample.of} of ${sample.values.length} ${sample.by}s${sample.names.length ? " by category" : ""}` },
      inside.map((end) => s("path", { class: "threshold", d: `M${axis(end)} 0V${height}` })), rows, bottom(axis, height, 570));
  }
  // The median and quartiles over prompts in each layer.
  function layers(sample) {
    const [low, mid, high] = sample.layers, inside = ends(sample.region);
    const seen = extent([...low, ...high]);
    if (!seen) return "";
    const shown = inside.filter((x) => x >= seen[0] - (seen[1] - seen[0]) && x <= seen[1] + (seen[1] - seen[0]));
    const [a, b] = extent([...seen, ...shown]);
    const y = scale(a, b, 150, 6), x = (i) => +(44 + (i * 516) / Math.max(1, mid.length - 1)).toFixed(1);
    const run = (row) => row.map((v, i) => (v === null ? "" : `${x(i)} ${y(v)}`)).filter(Boolean);
    const every = Math.ceil(mid.length / 12);
    return s("svg", { class: "chart c0", viewBox: "0 0 570 176", role: "img", "aria-label": `${sample.of} by layer` },
      ticks(y).map((v) => [s("path", { class: "grid", d: `M44 ${y(v)}H560` }), s("text", { x: 38, y: y(v) + 4, "text-anchor": "end" }, num(v))]),
      shown.map((v) => s("path", { class: "threshold", d: `M44 ${y(v)}H560` })),
      s("path", { class: "band", d: `M${run(high).join("L")}L${run(low).reverse().join("L")}Z` }), s("path", { class: "median", d: `M${run(mid).join("L")}` }),
      mid.map((_, i) => (i % every ? "" : s("text", { x: x(i), y: 170, "text-anchor": "middle" }, i + 1))));
  }
  // Estimates under every variation, sorted; below, what each one changes.
  function curve(answer, region) {
    const own = Object.assign({ v: answer.v, by: {} }, flat(answer.e));
    const all = [own, ...answer.x.filter((o) => "e" in o)].sort((a, b) => a.e - b.e);
    const choices = [...new Set(all.flatMap((o) => Object.entries(o.by).map(([k, v]) => `${k} ${v}`)))].sort();
    const [low, high] = extent([...ends(region), ...all.flatMap((o) => [o.e, o.lo, o.hi])]);
    const left = 170, y = scale(low, high, 150, 6), x = (i) => +(left + 12 + (i * 840) / Math.max(1, all.length - 1)).toFixed(1);
    const height = 168 + 17 * choices.length, at = all.indexOf(own);
    return s("svg", { class: "chart", viewBox: `0 0 1040 ${height}`, role: "img", "aria-label": `${all.length} specifications from ${num(all[0].e)} to ${num(all[all.length - 1].e)}` },
      s("rect", { class: "own", x: x(at) - 8, y: 0, width: 16, height }),
      ticks(y).map((v) => [s("path", { class: "grid", d: `M${left} ${y(v)}H1030` }), s("text", { x: left - 8, y: y(v) + 4, "text-anchor": "end" }, num(v))]),
      ends(region).map((v) => s("path", { class: "threshold", d: `M${left} ${y(v)}H1030` })),
      all.map((o, i) => s("g", { class: o.v }, s("title", {}, `${Object.entries(o.by).map((p) => p.join(" ")).join(", ") || "as claimed"}: ${num(o.e)}${range(o)}, ${o.v}`),
        range(o) ? s("path", { class: "interval", d: `M${x(i)} ${"lo" in o ? y(o.lo) : 150}V${"hi" in o ? y(o.hi) : 6}` }) : "",
        o === own ? s("path", { class: "dot", d: `M${x(i)} ${y(o.e) - 6}l6 6l-6 6l-6 -6z` }) : s("circle", { class: "dot", cx: x(i), cy: y(o.e), r: 3 }))),
      choices.map((name, row) => [s("text", { x: left - 8, y: 176 + 17 * row, "text-anchor": "end" }, name.replaceAll("_", " ")),
        all.map((o, i) => (Object.entries(o.by).some((p) => p.join(" ") === name) ? s("circle", { cx: x(i), cy: 172 + 17 * row, r: 3.2, fill: "currentColor" }) : ""))]));
  }

  function sampleBlocks(answer) {
    const title = (one) => `${one.of.replaceAll("_", " ")} by ${one.by}: ${one.of_all > one.values.length ? `${one.values.length} of ${one.of_all}` : one.values.length} ${one.by}s${one.names.length ? " by category" : ""}${one.unit ? ` (${one.unit})` : ""}`;
    return (answer.h || []).flatMap((one) => [
      one.values.length ? block(title(one), false, strip(one)) : "",
      one.layers ? block(`${one.of.replaceAll("_", " ")} by layer: median and quartiles over prompts`, false, layers(one)) : ""]);
  }
  const control = (o) => h("li", {}, h("b", {}, o.name), " ", pill(o.v), ` ${"e" in o ? num(o.e) + range(o) + ": " : ""}${o.w}`);
  function detail(answer, claim, names) {
    const e = answer.e, region = claim.region || [];
    const odd = answer.x && answer.x.filter((o) => !("e" in o));
    const test = e && [["estimate", num(e.v) + range(e)], ["level", e.level && `${num(100 * e.level)} %`], ["units", e.n], ["p, as predicted", num(e.p)], ["p, the opposite", num(e.q)], ["effect size", num(e.effect)], ["method", `${e.st.replaceAll("_", " ")} of ${e.of.replaceAll("_", " ")}; ${e.by}`]].filter(([, text]) => text);
    return h("div", { class: "detail" }, h("h5", {}, originMark(answer.o, names), " ", answer.s, " ", pill(answer.v)),
      h("p", {}, answer.w), answer.m ? h("p", { class: "small" }, answer.m) : "",
      h("div", { class: "blocks" },
        answer.g ? block("What would change this verdict", false, lines(answer.g)) : "",
        test ? block("The estimate", false, pairs(test)) : "",
        sampleBlocks(answer),
        answer.x && e && answer.x.some((o) => "e" in o) ? block("Specification curve: the claim under every declared variation; the diamond is the claim as it stands", true, curve(answer, region)) : "",
        odd && odd.length ? block("Variations without a number", false, lines(odd.map((o) => `${Object.entries(o.by).map((p) => p.join(" ")).join(", ")}: ${o.v}, ${o.w}`))) : "",
        answer.u ? block("The other estimand", false, h("ul", {}, answer.u.map(([name, o]) => h("li", {}, name, ": ", "e" in o ? num(o.e) + range(o) + " " : "", pill(o.v), o.w ? " " + o.w : "")))) : "",
        answer.c ? block("Controls: where it ought to fail", false, h("ul", {}, answer.c.map(control))) : "",
        answer.r ? block("Recorded by the author", false, h("ul", {}, answer.r.map(([model, o]) => h("li", {}, `${model}: ${num(o.v)}${o.w ? ` (${o.w})` : ""}`)))) : "",
        answer.n ? block("Power", false, pairs(answer.n)) : "",
        answer.l ? block("Labels", false, h("ul", {}, answer.l.map(([name, told]) => h("li", {}, h("span", { class: "label" }, name), told ? " " + told : "")))) : "",
        answer.d ? block("Beside it", false, pairs(answer.d)) : "",
        answer.z ? block("Provenance", false, pairs(answer.z)) : ""));
  }

  function table(claim, answers, names, choose) {
    const axis = axisOf(claim, answers);
    const rows = answers.map((a) => h("tr", { "data-answer": a.id }, h("th", { scope: "row" }, h("button", { type: "button", title: a.m }, a.s)), h("td", {}, originMark(a.o, names)), h("td", {}, pill(a.v)),
      h("td", {}, axis && a.e ? bar(flat(a.e), axis, claim.region, a.v, a.o) : ""), h("td", {}, a.f || ""), h("td", {}, (a.e && a.e.n) || ""), h("td", {}, (a.l || []).map(([name, told]) => h("span", { class: "label", title: told }, name)))));
    rows.forEach((row, at) => row.querySelector("button").addEventListener("click", () => choose(answers[at])));
    return h("table", { class: "rows answers" }, h("thead", {}, h("tr", {}, ["on", "origin", "verdict", axis ? "against " + answers[0].p : "", "found", "of", "labels"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows));
  }
  // Fill an opened claim; returns a function that shows one of its answers.
  function claim(place, one, answers, names, chosen) {
    const below = h("div");
    const show = (answer) => {
      place.querySelectorAll("tr[data-answer]").forEach((row) => (row.dataset.answer === answer.id ? row.setAttribute("aria-selected", "true") : row.removeAttribute("aria-selected")));
      below.replaceChildren(detail(answer, one, names));
    };
    const choose = (answer) => { show(answer); chosen(answer); };
    const more = one.unmeasured && h("details", {}, h("summary", {}, `${one.unmeasured.length} not measured`), lines(one.unmeasured.map(([id, why]) => `${id}: ${why}`)));
    const yaml = one.yaml ? h("details", {}, h("summary", {}, "The YAML that made it"), h("pre", { tabindex: 0 }, one.yaml)) : one.changed ? h("p", { class: "small" }, "The claims file says something else by now; these verdicts are of an earlier form.") : "";
    place.querySelector(".plain").remove();
    place.append(answers.length ? h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Answers" }, table(one, answers, names, choose)) : "", below, more || "", yaml);
    return show;
  }
  return { claim };
})();
