"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const state = { family: 0, benchmark: 0, axis: "size", skill: 0, asked: 0, own: null };

  // ---- numbers in words -------------------------------------------------------------------
  const plain = (v) => {
    if (v === null || v === undefined) return "–";
    if (v !== 0 && (Math.abs(v) < 1e-3 || Math.abs(v) >= 1e6)) return flops(v);
    return String(+v.toPrecision(3)).replace("-", "−");
  };
  const flops = (v) => v.toExponential(1).replace("e+", "e").replace(".0e", "e");
  const percent = (v, digits = 0) => (100 * v).toFixed(digits);
  const UNIT = {
    size: (v) => `${plain(v)} billion parameters`,
    tokens: (v) => `${plain(v)} trillion tokens`,
    flops: (v) => `${flops(v)} FLOPs`,
  };
  const TITLE = {
    size: "parameters, billions",
    tokens: "training tokens, trillions",
    flops: "training FLOPs",
  };
  const PERCENT = "\u202f%"; // never parted from its number at the end of a line
  const level = `${plain(100 * data.level)}${PERCENT}`;
  const HALF = `50${PERCENT} from`;
  const inWords = (outside) => outside.replaceAll("params_b", "size").replaceAll("tokens_t", "tokens")
    .replaceAll("tokens_per_param", "tokens per parameter").replaceAll(" x the ", " × the ");

  // ---- curves: two letters a score, digits to the base 64 --------------------------------
  const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const VALUE = Object.fromEntries([...DIGITS].map((letter, value) => [letter, value]));
  const QUANTILES = ["low", "first", "middle", "third", "high"];

  function curve(family, benchmark, axis) {
    const { points, axes, ends, scores } = data.curves;
    const a = axes.indexOf(axis);
    const text = scores[family];
    const start = (a * data.benchmarks.length + benchmark) * QUANTILES.length * points;
    const [first, last] = ends[family][a].map(Math.log);
    const rows = [];
    for (let p = 0; p < points; p++) {
      const row = { x: Math.exp(first + ((last - first) * p) / (points - 1)) };
      QUANTILES.forEach((name, q) => {
        const i = 2 * (start + q * points + p);
        row[name] = (VALUE[text[i]] * 64 + VALUE[text[i + 1]]) / 4095;
      });
      rows.push(row);
    }
    return rows;
  }

  function between(rows, x) {
    const log = Math.log(x);
    let p = 0;
    while (p < rows.length - 2 && Math.log(rows[p + 1].x) < log) p++;
    const [a, b] = [rows[p], rows[p + 1]];
    const share = (log - Math.log(a.x)) / (Math.log(b.x) - Math.log(a.x));
    const row = { x };
    for (const name of QUANTILES) row[name] = a[name] + share * (b[name] - a[name]);
    return row;
  }

  function place(axis, size, tokens, active) {
    if (axis === "size") return size;
    if (axis === "tokens") return tokens;
    return size === null || tokens === null ? null : 6e21 * (active ?? size) * tokens;
  }

  function measured(family, benchmark, axis) {
    const { name, family: of, params_b, tokens_t, active_b, scores } = data.models;
    const rows = [];
    of.forEach((f, m) => {
      const score = scores[m][benchmark];
      const x = place(axis, params_b[m], tokens_t[m], active_b[m]);
      if (f === family && score !== null && x !== null)
        rows.push({ x, score, model: name[m], size: plain(params_b[m]), tokens: plain(tokens_t[m]) });
    });
    return rows;
  }

  function askedOf(family, benchmark, axis) {
    const rows = data.query.filter((one) => one.family === family);
    if (state.own && state.own.family === family) rows.push(state.own);
    return rows.map((one) => ({
      x: place(axis, one.params_b, one.tokens_t, one.active_b),
      model: one.name,
      low: one.scores[benchmark][0],
      score: one.scores[benchmark][2],
      high: one.scores[benchmark][4],
      range: `${percent(one.scores[benchmark][0])} to ${percent(one.scores[benchmark][4])}${PERCENT}`,
    }));
  }

  // ---- charts -----------------------------------------------------------------------------
  // Colours are the page's own variables, so that dark mode and print need no new drawing.
  const LAW = "var(--law)";
  const ASKED = "var(--asked)";
  const INK = "var(--dots)";
  const CONFIG = {
    aria: false,
    background: null,
    font: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif",
    view: { stroke: null },
    axis: {
      labelColor: "var(--quiet)", titleColor: "var(--quiet)", domainColor: "var(--rule)",
      tickColor: "var(--rule)", gridColor: "var(--grid)", labelFontSize: 13, titleFontSize: 13,
      titleFontWeight: 400, labelLimit: 170, titlePadding: 8,
    },
  };
  const pending = new Map();

  async function draw(id, spec, about) {
    const host = at(id);
    const turn = (pending.get(id) ?? 0) + 1;
    pending.set(id, turn);
    host.setAttribute("role", "img");
    host.setAttribute("aria-label", about);
    const whole = {
      $schema: "https://vega.github.io/schema/vega-lite/v6.json",
      width: "container",
      autosize: { type: "fit-x", contains: "padding" },
      config: CONFIG,
      ...spec,
    };
    const holder = document.createElement("div");
    holder.style.width = "100%";
    host.append(holder);
    const found = await vegaEmbed(holder, whole, {
      actions: false, renderer: "svg", ast: true, defaultStyle: false,
      tooltip: { theme: "custom", disableDefaultStyle: true },
    });
    // The last drawing that was asked for is shown, whichever is done first.
    if (pending.get(id) !== turn) {
      found.finalize();
      holder.remove();
      return;
    }
    for (const old of [...host.children]) if (old !== holder) old.remove();
    const svg = holder.querySelector("svg");
    svg.setAttribute("aria-hidden", "true");
    svg.setAttribute("focusable", "false");
    host.dataset.drawn = String(turn);
  }

  function logTicks(low, high, most) {
    for (const digits of [[1, 2, 5], [1, 3], [1]]) {
      const ticks = [];
      for (let k = Math.floor(Math.log10(low)); k <= Math.ceil(Math.log10(high)); k++)
        for (const digit of digits) {
          const value = +(digit * 10 ** k).toPrecision(3);
          if (value >= low && value <= high) ticks.push(value);
        }
      if (ticks.length <= most || digits.length === 1) {
        const step = Math.ceil(ticks.length / most);
        return ticks.filter((_, i) => i % step === 0);
      }
    }
    return [];
  }

  const FLOPS_LABEL = "replace(format(datum.value, '.0e'), '+', '')";
  function logAxis(low, high, title, isFlops) {
    const most = Math.max(3, Math.floor((document.body.clientWidth - 100) / 75));
    return {
      type: "quantitative",
      scale: { type: "log", domain: [low, high], nice: false },
      axis: {
        title, values: logTicks(low, high, Math.min(most, 9)), grid: false,
        labelExpr: isFlops ? FLOPS_LABEL : "format(datum.value, '~g')", labelFlush: true,
      },
    };
  }
  const SCORE_AXIS = { labelExpr: "format(100 * datum.value, '~g') + '\u202f%'", tickCount: 5 };

  function drawCurve() {
    const { family, benchmark, axis } = state;
    const rows = curve(family, benchmark, axis);
    const one = data.families[family];
    const test = data.benchmarks[benchmark];
    const seen = measured(family, benchmark, axis);
    const wanted = askedOf(family, benchmark, axis);
    const x = { field: "x", ...logAxis(rows[0].x, rows.at(-1).x, TITLE[axis], axis === "flops") };
    const all = [...rows.flatMap((r) => [r.low, r.high]), ...seen.map((r) => r.score)];
    const most = Math.min(1, Math.max(...all, test.floor) + 0.04);
    const least = Math.max(0, Math.min(...all, test.floor) - 0.04);
    const y = (field) => ({
      field, type: "quantitative", scale: { domain: [least, most], nice: true, clamp: true },
      axis: { title: `score on ${test.name}`, ...SCORE_AXIS },
    });
    const known = seen.map((r) => r.x);
    const edge = known.length ? Math.max(...known) : -Infinity;
    const inside = rows.filter((r) => r.x < edge);
    if (inside.length && edge < rows.at(-1).x) inside.push(between(rows, edge));
    const band = (low, high, opacity) => ({
      data: { values: rows },
      mark: { type: "area", interpolate: "monotone", color: LAW, opacity, tooltip: null },
      encoding: { x, y: y(low), y2: { field: high } },
    });
    const tip = (field, title) => ({ field, title, type: "nominal" });
    const layer = [
      band("low", "high", 0.16),
      band("first", "third", 0.26),
      {
        data: { values: [{ y: test.floor }] },
        mark: { type: "rule", color: "var(--quiet)", strokeDash: [2, 4], strokeWidth: 1.5 },
        encoding: { y: y("y") },
      },
      {
        data: { values: rows },
        mark: { type: "line", interpolate: "monotone", color: LAW, strokeWidth: 2, strokeDash: [7, 4] },
        encoding: { x, y: y("middle") },
      },
      {
        data: { values: inside },
        mark: { type: "line", interpolate: "monotone", color: LAW, strokeWidth: 3 },
        encoding: { x, y: y("middle") },
      },
      {
        data: { values: seen },
        mark: { type: "point", filled: true, size: 75, color: INK, opacity: 1, stroke: "var(--paper)", strokeWidth: 1 },
        encoding: {
          x, y: y("score"),
          tooltip: [tip("model", "model"), tip("size", "billions"), tip("tokens", "trillions"),
            { field: "score", title: "score", format: ".1%" }],
        },
      },
      {
        data: { values: wanted },
        mark: { type: "rule", color: ASKED, strokeWidth: 2.5 },
        encoding: { x, y: y("low"), y2: { field: "high" } },
      },
      {
        data: { values: wanted },
        mark: { type: "point", shape: "diamond", filled: true, size: 140, color: ASKED, opacity: 1, stroke: "var(--paper)", strokeWidth: 1 },
        encoding: {
          x, y: y("score"),
          tooltip: [tip("model", "model"), { field: "score", title: "median", format: ".1%" },
            tip("range", `${level} interval`)],
        },
      },
    ];
    const words = headline(one, test, rows, seen, axis);
    at("headline").replaceChildren(...words);
    at("curve-caption").textContent = caption(one, seen, axis);
    draw("curve", { height: 340, layer }, `${at("headline").textContent} ${at("curve-caption").textContent}`);
    fill("curve-table", "n", [TITLE[axis], "median", `${level} from`, "to", HALF, "to"],
      rows.map((r) => [axis === "flops" ? flops(r.x) : plain(r.x),
        ...["middle", "low", "high", "first", "third"].map((n) => `${percent(r[n], 1)}${PERCENT}`)]));
  }

  function headline(one, test, rows, seen, axis) {
    const strong = (text) => Object.assign(document.createElement("strong"), { textContent: text });
    const known = seen.map((r) => r.x);
    const last = known.length ? Math.max(...known) : Math.exp((Math.log(rows[0].x) + Math.log(rows.at(-1).x)) / 2);
    const next = Math.min(2 * last, rows.at(-1).x);
    const r = between(rows, next);
    const where = known.length
      ? `At ${UNIT[axis](next)}, ${next > 1.9 * last ? "twice its largest measured here" : "beyond its largest measured here"},`
      : `At ${UNIT[axis](next)}`;
    return [
      `${where} a model of ${one.name} would score `, strong(`${percent(r.middle)}${PERCENT}`),
      ` on ${test.name}, and with ${level} probability between `,
      strong(`${percent(r.low)} and ${percent(r.high)}${PERCENT}`), ".",
    ];
  }

  function caption(one, seen, axis) {
    const held = {
      size: `Training tokens are held at ${plain(one.tokens)} trillion`,
      tokens: `Size is held at ${plain(one.size)} billion parameters`,
      flops: "Size and tokens grow together as they did in this family",
    }[axis];
    const kind = one.post_trained === null ? "" : one.post_trained ? ", post-trained" : ", base";
    const points = seen.length === 1 ? "1 measured model" : `${seen.length} measured models`;
    const stranger = one.models ? "" : " This family is not in the table: it is predicted from what families have in common.";
    return `${one.name} (lineage ${one.lineage}${kind}). ${held}; ${points}, which may have had other values. ` +
      `Dashed: beyond the largest of them.${stranger}`;
  }

  function intervals(id, one) {
    const rows = data.benchmarks.map((test, j) => {
      const [low, first, middle, third, high] = one.scores[j];
      return { test: test.name, floor: test.floor, low, first, middle, third, high,
        range: `${percent(low)} to ${percent(high)}${PERCENT}` };
    });
    const y = { field: "test", type: "nominal", sort: null, axis: { title: null, grid: true, ticks: false, domain: false } };
    const x = (field) => ({ field, type: "quantitative", scale: { domain: [0, 1] }, axis: { title: "score", grid: false, ...SCORE_AXIS } });
    const tooltip = [{ field: "test", title: "benchmark" }, { field: "middle", title: "median", format: ".1%" },
      { field: "range", title: `${level} interval` }];
    draw(id, {
      data: { values: rows }, height: 27 * rows.length,
      layer: [
        { mark: { type: "rule", color: ASKED, strokeWidth: 2 }, encoding: { y, x: x("low"), x2: { field: "high" }, tooltip } },
        { mark: { type: "rule", color: ASKED, strokeWidth: 7, opacity: 0.55 }, encoding: { y, x: x("first"), x2: { field: "third" }, tooltip } },
        { mark: { type: "tick", color: "var(--quiet)", thickness: 2, size: 14 }, encoding: { y, x: x("floor") } },
        { mark: { type: "point", filled: true, size: 85, color: ASKED, opacity: 1, stroke: "var(--paper)" }, encoding: { y, x: x("middle"), tooltip } },
      ],
    }, `Forecast of ${one.name}: ` + rows.map((r) => `${r.test} ${percent(r.middle)} percent, ${r.range}`).join("; "));
  }

  function aboutModel(one) {
    const family = one.family === null ? null : data.families[one.family];
    const seen = family === null ? 0 : one.family_models ?? family.models;
    const name = one === state.own ? "" : `${one.name}: `;
    return `${name}${plain(one.params_b)} billion parameters on ${plain(one.tokens_t)} trillion tokens` +
      (seen ? `, family ${family.name}, of which ${seen} model${seen === 1 ? " was" : "s were"} measured.`
        : ", of a family that the table does not know: intervals are wide.") +
      (one.outside ? ` Beyond the training table: ${inWords(one.outside)}.` : "");
  }

  function drawAsked() {
    if (!data.query.length) return;
    const one = data.query[state.asked];
    at("asked-text").textContent = aboutModel(one);
    intervals("asked-chart", one);
  }

  function drawErrors() {
    if (!data.evaluation) return;
    const rows = data.evaluation.benchmarks.flatMap((one) =>
      [["this law", "mae"], ["FLOPs alone", "flops_mae"]].filter(([, key]) => one[key] !== null).map(([law, key]) => {
        const error = one[`${key}_se`] ?? 0;
        return { test: one.benchmark, law, mae: 100 * one[key], low: Math.max(0, 100 * (one[key] - 2 * error)), high: 100 * (one[key] + 2 * error) };
      }));
    const y = { field: "test", type: "nominal", sort: null, axis: { title: null, grid: true, ticks: false, domain: false } };
    const yOffset = { field: "law", type: "nominal", sort: ["this law", "FLOPs alone"] };
    const color = { field: "law", type: "nominal", scale: { domain: ["this law", "FLOPs alone"], range: [LAW, ASKED] }, legend: null };
    const x = (field) => ({ field, type: "quantitative", axis: { title: "mean absolute error, percentage points", grid: false, tickCount: 6 } });
    draw("errors", {
      data: { values: rows }, height: 15 * rows.length,
      layer: [
        { mark: { type: "rule", strokeWidth: 2, opacity: 0.6 }, encoding: { y, yOffset, color, x: x("low"), x2: { field: "high" } } },
        { mark: { type: "point", filled: true, size: 70, opacity: 1 },
          encoding: { y, yOffset, color, x: x("mae"),
            shape: { field: "law", type: "nominal", scale: { domain: ["this law", "FLOPs alone"], range: ["circle", "square"] }, legend: null },
            tooltip: [{ field: "test", title: "benchmark" }, { field: "law", title: "law" }, { field: "mae", title: "error", format: ".1f" }] } },
      ],
    }, "Mean absolute errors by benchmark: " + rows.map((r) => `${r.test}, ${r.law}: ${r.mae.toFixed(1)} points`).join("; "));
  }

  const certain = data.certain;
  function spread(rows, label) {
    const y = { field: label, type: "nominal", sort: null, axis: { title: null, grid: true, ticks: false, domain: false, labelLimit: Math.max(120, Math.min(320, document.body.clientWidth * 0.42)) } };
    const x = (field, title) => ({ field, type: "quantitative", axis: { title, grid: false, tickCount: 6 } });
    return (title) => ({
      data: { values: rows }, height: 22 * rows.length,
      layer: [
        { data: { values: [{ zero: 0 }] }, mark: { type: "rule", color: "var(--quiet)", strokeWidth: 1 }, encoding: { x: x("zero", title) } },
        ...(certain ? [] : [{ mark: { type: "rule", color: LAW, strokeWidth: 3, opacity: 0.6 }, encoding: { y, x: x("lower", title), x2: { field: "upper" } } }]),
        { mark: { type: "point", filled: true, size: 75, color: LAW, opacity: 1 },
          encoding: { y, x: x("median", title), tooltip: [{ field: label, title: label }, { field: "median", format: ".2f" },
            ...(certain ? [] : [{ field: "lower", format: ".2f" }, { field: "upper", format: ".2f" }])] } },
      ],
    });
  }

  function words(rows, label) {
    return rows.map((r) => `${r[label]} ${plain(r.median)}` + (certain ? "" : `, ${plain(r.lower)} to ${plain(r.upper)}`)).join("; ");
  }

  function drawSkill() {
    const name = data.skills.names[state.skill].name;
    const ofSkill = (rows) => rows.filter((row) => row.skill === state.skill);
    const loadings = ofSkill(data.skills.loadings).sort((a, b) => b.median - a.median);
    draw("loadings", spread(loadings, "benchmark")("loading"), `Loadings of the skill ${name}: ${words(loadings, "benchmark")}`);
    at("loadings-caption").textContent = `How much each benchmark tells of the skill ${name}: what one standard deviation ` +
      `of it adds before the score's curve flattens. ${certain ? "A mode has no intervals." : `Bars: ${level} intervals.`}`;
    if (!data.skills.chat) return;
    const pairs = ofSkill(data.skills.chat).map((r) => ({ ...r, pair: r.base === "all" ? "mean of all pairs" : r.chat }));
    const [mean, ...others] = pairs;
    const shown = others.sort((a, b) => Math.abs(b.median) - Math.abs(a.median)).slice(0, 24).sort((a, b) => b.median - a.median);
    const rows = [mean, ...shown];
    draw("shifts", spread(rows, "pair")("change, standard deviations"), `Change in ${name} by post-training: ${words(rows, "pair")}`);
    at("shifts-caption").textContent = `Change in ${name}; the mean over all ${others.length} pairs` +
      (others.length > shown.length ? ` and the ${shown.length} families that changed most.` : ", then each family.") +
      (certain ? "" : ` Bars: ${level} intervals.`);
  }

  function drawPlan() {
    const rows = data.plan.rows.map((r) => ({ ...r, label: `${plain(r.tokens_t)} T tokens` }));
    const sizes = rows.flatMap((r) => [r.params_b_lower, r.params_b_upper, r.params_b_least, r.params_b_most, r.params_b]);
    const x = { field: "flops", ...logAxis(rows[0].flops / 1.6, rows.at(-1).flops * 1.6, "training FLOPs", true) };
    const y = (field) => ({ field, type: "quantitative", scale: { type: "log", domain: [Math.min(...sizes) / 1.2, Math.max(...sizes) * 1.2], nice: false },
      axis: { title: "parameters, billions", labelExpr: "format(datum.value, '~g')", values: logTicks(Math.min(...sizes) / 1.2, Math.max(...sizes) * 1.2, 6) } });
    draw("budget", {
      data: { values: rows }, height: 280,
      layer: [
        { mark: { type: "area", color: LAW, opacity: 0.22 }, encoding: { x, y: y("params_b_least"), y2: { field: "params_b_most" } } },
        ...["params_b_lower", "params_b_upper"].map((end) => ({
          mark: { type: "line", color: LAW, strokeWidth: 1.5, strokeDash: [5, 4] }, encoding: { x, y: y(end) } })),
        { mark: { type: "line", color: LAW, strokeWidth: 3, point: { filled: true, size: 75, color: LAW } }, encoding: { x, y: y("params_b"),
          tooltip: [{ field: "flops", format: ".2~e" }, { field: "params_b", title: "billions", format: ".3~g" }, { field: "label", title: "tokens" }, { field: "mean", title: "expected", format: ".1%" }] } },
      ],
    }, `Recommended size by budget for ${data.plan.family}: ` + rows.map((r) => `${flops(r.flops)} FLOPs: ${plain(r.params_b)} billion, as good ${plain(r.params_b_least)} to ${plain(r.params_b_most)}`).join("; "));
  }

  function drawOverview() {
    const { name, family, params_b, tokens_t } = data.models;
    const rows = name.map((model, m) => ({ model, size: params_b[m], tokens: tokens_t[m], chosen: family[m] === state.family }))
      .filter((r) => r.size !== null && r.tokens !== null);
    if (!rows.length) return at("overview").replaceChildren("No model of this table has both a known size and known tokens.");
    const range = (key) => [Math.min(...rows.map((r) => r[key])) / 1.3, Math.max(...rows.map((r) => r[key])) * 1.3];
    const x = { field: "tokens", ...logAxis(...range("tokens"), TITLE.tokens, false) };
    const [low, high] = range("size");
    const y = { field: "size", type: "quantitative", scale: { type: "log", domain: [low, high], nice: false },
      axis: { title: TITLE.size, labelExpr: "format(datum.value, '~g')", values: logTicks(low, high, 7) } };
    const tooltip = [{ field: "model" }, { field: "size", title: "billions", format: ".3~g" }, { field: "tokens", title: "trillions", format: ".3~g" }];
    draw("overview", {
      height: 300,
      layer: [
        { data: { values: rows.filter((r) => !r.chosen) }, mark: { type: "point", filled: true, size: 45, color: LAW, opacity: 0.4 }, encoding: { x, y, tooltip } },
        { data: { values: rows.filter((r) => r.chosen) }, mark: { type: "point", shape: "diamond", filled: true, size: 150, color: ASKED, opacity: 1, stroke: "var(--paper)" }, encoding: { x, y, tooltip } },
      ],
    }, `${rows.length} models by size, ${plain(low * 1.3)} to ${plain(high / 1.3)} billion parameters, and tokens; ${data.families[state.family].name} is marked.`);
  }

  // ---- tables and controls ----------------------------------------------------------------
  function fill(id, firstColumn, head, rows) {
    const cell = (kind, text, scope, look = "n") => {
      const made = document.createElement(kind);
      made.textContent = text;
      made.className = look;
      if (scope) made.scope = scope;
      return made;
    };
    const line = (cells) => { const made = document.createElement("tr"); made.append(...cells); return made; };
    const top = document.createElement("thead");
    top.append(line(head.map((text, column) => cell("th", text, "col", column ? "n" : firstColumn))));
    const body = document.createElement("tbody");
    body.append(...rows.map(([first, ...rest]) => line([cell("th", first, "row", firstColumn), ...rest.map((text) => cell("td", text))])));
    at(id).replaceChildren(top, body);
  }

  const letters = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "");
  function listFamilies() {
    const wanted = letters(at("family-search").value);
    const list = at("family");
    const found = data.families.map((one, f) => [one, f]).filter(([one]) => letters(one.name).includes(wanted));
    list.replaceChildren(...found.map(([one, f]) => {
      const option = document.createElement("option");
      option.value = String(f);
      option.textContent = one.models ? `${one.name} (${one.models})` : `${one.name} (new)`;
      option.selected = f === state.family;
      return option;
    }));
    const all = data.families.length;
    at("family-count").textContent = wanted ? `${found.length} of ${all}` : `${all}, measured models in brackets`;
    return found.map(([, f]) => f);
  }

  function choose(family) {
    if (family === state.family) return;
    state.family = family;
    drawCurve();
    drawOverview();
    ask();
  }

  // ---- a model that is typed in: only where a server answers -------------------------------
  let waiting = 0;
  let asking = 0;
  function ask() {
    if (!at("ask")) return;
    clearTimeout(waiting);
    waiting = setTimeout(answer, 60);
  }

  function unanswered(why) {
    asking++; // an answer that is still under way is no longer wanted
    state.own = null;
    at("answer").textContent = why;
    at("explore").classList.add("unanswered");
    drawCurve();
  }

  async function answer() {
    const [size, tokens] = [at("ask-size"), at("ask-tokens")];
    if (!size.validity.valid || !tokens.validity.valid) {
      return unanswered("Give a size and a number of tokens, both above zero.");
    }
    const kind = at("ask-family").value;
    const turn = ++asking;
    const query = new URLSearchParams({ family: kind === "chosen" ? String(state.family) : kind, params_b: size.value, tokens_t: tokens.value });
    let found;
    try {
      const reply = await fetch(`forecast?${query}`);
      found = await reply.json();
      if (turn !== asking) return;
      if (!reply.ok) throw new Error(found.error);
    } catch (error) {
      if (turn === asking) unanswered(`No forecast: ${error.message}.`);
      return;
    }
    state.own = { name: "your model", ...found };
    at("explore").classList.remove("unanswered");
    at("answer").textContent = aboutModel(state.own);
    intervals("answer-chart", state.own);
    fill("answer-table", "", ["benchmark", "median", `${level} from`, "to", HALF, "to"],
      data.benchmarks.map((test, j) => [test.name, ...[2, 0, 4, 1, 3].map((q) => `${percent(found.scores[j][q], 1)}${PERCENT}`)]));
    drawCurve();
  }

  // ---- beginning ----------------------------------------------------------------------------
  state.family = data.first;
  at("benchmark").append(...data.benchmarks.map((one, j) => {
    const option = document.createElement("option");
    option.value = String(j);
    option.textContent = one.name;
    return option;
  }));
  listFamilies();
  at("family-search").addEventListener("input", () => {
    const found = listFamilies();
    if (found.length && !found.includes(state.family)) {
      at("family").selectedIndex = 0;
      choose(found[0]);
    }
  });
  at("family").addEventListener("change", (event) => { if (event.target.value !== "") choose(Number(event.target.value)); });
  at("benchmark").addEventListener("change", (event) => { state.benchmark = Number(event.target.value); drawCurve(); });
  at("axis").addEventListener("change", (event) => { state.axis = event.target.value; drawCurve(); });
  at("skill").addEventListener("change", (event) => { state.skill = Number(event.target.value); drawSkill(); });
  if (at("asked")) at("asked").addEventListener("change", (event) => { state.asked = Number(event.target.value); drawAsked(); });
  if (at("ask")) {
    const one = data.families[state.family];
    at("ask-size").value = String(+one.size.toPrecision(2));
    at("ask-tokens").value = String(+one.tokens.toPrecision(2));
    at("ask").addEventListener("input", ask);
    at("ask").addEventListener("submit", (event) => event.preventDefault());
    ask();
  }
  drawCurve();
  drawAsked();
  drawErrors();
  drawSkill();
  drawPlan();
  drawOverview();
  at("family").querySelector("option:checked")?.scrollIntoView?.({ block: "nearest" });
})();
