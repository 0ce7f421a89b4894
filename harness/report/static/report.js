"use strict";
(() => {
  const report = JSON.parse(document.getElementById("report-data").textContent);
  const root = document.documentElement;
  const shown = new Set(report.shown);
  const plain = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  // Colours: a name such as @3 or @ink/0.2 stands for a colour of the theme.
  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
  let printing = false;
  const theme = () => (printing ? "light" : root.dataset.theme || (prefersDark.matches ? "dark" : "light"));
  const colour = (name) => {
    const [key, opacity] = name.slice(1).split("/");
    const named = { ink: report.ink, ground: report.ground };
    const code = key in named ? named[key][theme()] : report.palettes[theme()][Number(key)];
    if (!opacity) return code;
    const parts = [1, 3, 5].map((place) => parseInt(code.slice(place, place + 2), 16));
    return `rgba(${parts.join(",")},${opacity})`;
  };
  const coloured = (value) => {
    if (Array.isArray(value)) return value.map(coloured);
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, key === "meta" ? each : coloured(each)]));
    return typeof value === "string" && /^@(\d+|ink|ground)(\/[\d.]+)?$/.test(value) ? colour(value) : value;
  };

  // Tables: sorting by the buttons of their heads; what is missing stands last either way.
  const sortValue = (row, column, numeric) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    if (!numeric) return text.toLowerCase();
    return text === "" ? null : Number(text);
  };
  document.querySelectorAll("table.sortable").forEach((table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => {
        const numeric = head.dataset.kind === "number";
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((each) => each.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const rows = [...table.tBodies[0].rows].map((row) => [sortValue(row, column, numeric), row]);
        rows.sort(([a], [b]) => {
          if (a === null || b === null) return (a === null) - (b === null);
          return (a < b ? -1 : a > b ? 1 : 0) * (up ? 1 : -1);
        });
        table.tBodies[0].append(...rows.map(([, row]) => row));
      });
    });
  });
  document.querySelectorAll("form.filters").forEach((form) => {
    const rows = [...document.getElementById(form.dataset.filters).tBodies[0].rows];
    const apply = () => {
      const asked = Object.fromEntries([...form.querySelectorAll("[data-filter]")].map((each) => [each.dataset.filter, each.value]));
      const words = asked.text.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      rows.forEach((row) => {
        const text = row.textContent.toLowerCase();
        const fits = words.every((word) => text.includes(word))
          && (!asked.task || row.dataset.task === asked.task)
          && (!asked.family || row.dataset.family === asked.family);
        row.hidden = !fits;
        count += fits;
      });
      form.querySelector(".count").textContent = `${count} of ${rows.length} rows`;
    };
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    apply();
  });

  // Figures.
  const figures = [...document.querySelectorAll("figure.chart[data-chart]")]
    .filter((figure) => report.charts[figure.dataset.chart])
    .map((element) => ({ element, chart: report.charts[element.dataset.chart], answers: [], drawn: false }));

  const bands = (trace) => {
    const pairs = (trace.customdata || []).map((pair, place) => [place, pair]).filter(([, pair]) => Array.isArray(pair) && pair[0] !== null);
    if (trace.type !== "scatter" || !pairs.length) return [];
    const there = pairs.map(([place]) => trace.x[place]);
    const fill = `${trace.line.color}/0.14`;
    return [{
      type: "scatter", mode: "lines", meta: trace.meta, hoverinfo: "skip", showlegend: false, fill: "toself", fillcolor: fill,
      x: [...there, ...[...there].reverse()],
      y: [...pairs.map(([, pair]) => pair[1]), ...pairs.map(([, pair]) => pair[0]).reverse()],
      line: { width: 0, color: fill },
    }];
  };
  const currentView = (figure) => figure.chart.views[figure.answers.join("|")] || Object.values(figure.chart.views)[0];
  const visible = (trace) => trace.meta === undefined || shown.has(plain(trace.meta));

  function layoutOf(view, width) {
    const style = getComputedStyle(root);
    const [ink, rule] = printing ? ["#1b1f24", "#d5d9df"] : ["--ink", "--rule"].map((name) => style.getPropertyValue(name).trim());
    const axis = (given) => ({ gridcolor: rule, linecolor: rule, zerolinecolor: rule, automargin: true, ...given,
      ...(given && given.title ? { title: { standoff: 10, ...given.title } } : {}) });
    const narrow = width < 560;
    // Paper is narrower than most windows: as wide as A4 and letter leave between their margins.
    const wide = printing ? { width: 680, autosize: false } : { autosize: true };
    return coloured({
      height: narrow ? 360 : 460, hovermode: "closest", dragmode: false, ...view.layout,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", ...wide,
      font: { color: ink, size: narrow ? 11 : 13, family: "system-ui, sans-serif" },
      margin: { l: narrow ? 48 : 64, r: 16, t: narrow ? 14 : 34, b: 52 },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: rule, activecolor: ink },
      xaxis: axis(view.layout.xaxis), yaxis: axis(view.layout.yaxis),
      hoverlabel: { font: { family: "system-ui, sans-serif" }, namelength: 60 },
    });
  }

  function draw(figure) {
    if (!window.Plotly) return;
    const plot = figure.element.querySelector(".plot");
    const view = currentView(figure);
    const traces = view.traces.filter(visible);
    const few = figure.intervals ? figure.intervals.value : "all";
    const banded = traces.filter((trace) => bands(trace).length).slice(0, few === "three" ? 3 : few === "none" ? 0 : undefined);
    const config = { responsive: true, displaylogo: false, scrollZoom: false, displayModeBar: plot.clientWidth < 560 ? false : "hover",
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"], toImageButtonOptions: { filename: figure.chart.name, scale: 2 } };
    plot.querySelector(".waiting")?.remove();
    plot.classList.add("drawn");
    window.Plotly.react(plot, coloured([...banded.flatMap(bands), ...traces]), layoutOf(view, plot.clientWidth), config);
    figure.element.querySelector(".note").textContent = view.note;
    figure.drawn = true;
    if (figure.element.querySelector(".numbers").open) fillTable(figure);
  }

  function fillTable(figure) {
    const host = figure.element.querySelector(".numbers .scroll");
    const view = currentView(figure);
    const axes = ["xaxis", "yaxis"].map((axis) => view.layout[axis]);
    const names = axes.map((axis, place) => plain((axis && axis.title && axis.title.text) || ["x", "y"][place]));
    const rows = [];
    const tick = (axis, value) => (axis && axis.ticktext ? plain(axis.ticktext[axis.tickvals.indexOf(value)] ?? String(value)) : value);
    let interval = false;
    view.traces.forEach((trace, number) => {
      const far = view.beyond[number] ?? {};
      if (trace.hoverinfo === "skip") return;
      const name = plain(trace.meta ?? trace.name ?? "");
      if (trace.type === "heatmap") {
        trace.z.forEach((line, row) => line.forEach((value, column) => {
          if (value !== null) rows.push([tick(axes[1], trace.y[row]), tick(axes[0], trace.x[column]), value]);
        }));
        return;
      }
      trace.x.forEach((x, place) => {
        const pair = trace.customdata && Array.isArray(trace.customdata[place]) ? trace.customdata[place] : null;
        interval ||= Boolean(pair);
        const error = trace.error_y;
        if (error || far.low) interval = true;
        const real = (key, value) => (far[key] ? far[key][place] : value);  // of what is drawn at the edge
        const ends = far.low ? [far.low[place], far.high[place]] : pair || (error ? [trace.y[place] - error.arrayminus[place], trace.y[place] + error.array[place]] : []);
        rows.push([name, tick(axes[0], real("x", x)), tick(axes[1], real("y", trace.y[place])), ...ends.map((end) => (typeof end === "number" ? Number(end.toPrecision(4)) : end))]);
      });
    });
    const heat = view.traces.some((trace) => trace.type === "heatmap");
    const heads = heat ? ["row", "column", "probability"] : ["series", ...names, ...(interval ? ["low", "high"] : [])];
    const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col", textContent: text })));
    const body = rows.map((row) => make("tr", {}, ...row.map((value) => make("td", { textContent: value ?? "–" }))));
    host.replaceChildren(make("table", {}, make("caption", {}, make("span", { textContent: figure.chart.title })), make("thead", {}, head), make("tbody", {}, ...body)));
  }

  const swatch = (entry) => {
    const style = report.styles[entry];
    const dashes = { solid: "", dash: "5 3", dot: "2 2", dashdot: "5 2 2 2" }[style.dash];
    const holder = document.createElement("span");
    holder.innerHTML = '<svg width="26" height="10" aria-hidden="true"><line x1="0" y1="5" x2="26" y2="5" stroke-width="3"/></svg>';
    const mark = holder.querySelector("line");
    mark.setAttribute("stroke-dasharray", dashes);
    mark.dataset.colour = style.colour;
    mark.setAttribute("stroke", colour(style.colour));
    return holder.firstChild;
  };

  function controls(figure, number) {
    const { element, chart } = figure;
    const host = element.querySelector(".choices");
    figure.answers = chart.choices.map((choice) => choice.options[0][0]);
    chart.choices.forEach((choice, place) => {
      const fixed = element.dataset.fixed;
      if (fixed !== undefined && place === 0) {
        figure.answers[0] = fixed;
        return;
      }
      const select = make("select", {}, ...choice.options.map(([value, wording]) => make("option", { value, textContent: wording })));
      select.addEventListener("change", () => {
        figure.answers[place] = select.value;
        draw(figure);
      });
      host.append(make("label", {}, choice.name, select));
    });
    if (Object.values(chart.views)[0].traces.some((trace) => bands(trace).length)) {
      const options = [["three", "of the first three"], ["all", "of all lines"], ["none", "of none"]];
      figure.intervals = make("select", {}, ...options.map(([value, wording]) => make("option", { value, textContent: wording })));
      figure.intervals.addEventListener("change", () => draw(figure));
      host.append(make("label", {}, "intervals", figure.intervals));
    }
    if (!chart.entries.length) return;
    const legend = element.querySelector(".legend");
    legend.hidden = false;
    const boxes = chart.entries.map((entry) => {
      const box = make("input", { type: "checkbox", checked: shown.has(entry) });
      box.dataset.entry = entry;
      box.addEventListener("change", () => {
        box.checked ? shown.add(entry) : shown.delete(entry);
        refresh();
      });
      return make("label", {}, box, swatch(entry), entry);
    });
    const all = (on) => () => {
      chart.entries.forEach((entry) => (on ? shown.add(entry) : shown.delete(entry)));
      refresh();
    };
    const buttons = [["all", true], ["none", false]].map(([wording, on]) => {
      const button = make("button", { type: "button", textContent: wording });
      button.addEventListener("click", all(on));
      return button;
    });
    const name = make("legend", { textContent: `Lines of figure ${number + 1}; a choice holds for every figure`, className: "note" });
    legend.querySelector("fieldset").append(name, ...boxes, ...buttons);
    if (!element.dataset.fixed) legend.open = true;
  }

  function refresh() {
    document.querySelectorAll(".legend input").forEach((box) => (box.checked = shown.has(box.dataset.entry)));
    document.querySelectorAll(".legend line").forEach((line) => line.setAttribute("stroke", colour(line.dataset.colour)));
    figures.filter((figure) => figure.drawn).forEach(draw);
  }

  const button = document.getElementById("theme");
  const nameTheme = () => {
    button.textContent = theme() === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-pressed", String(theme() === "dark"));
    button.setAttribute("aria-label", `Switch to ${theme() === "dark" ? "light" : "dark"} colours`);
  };
  button.addEventListener("click", () => {
    root.dataset.theme = theme() === "dark" ? "light" : "dark";
    nameTheme();
    refresh();
  });
  prefersDark.addEventListener("change", () => { nameTheme(); refresh(); });
  nameTheme();

  const openTarget = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target && target.tagName === "DETAILS") target.open = true;
  };
  window.addEventListener("hashchange", openTarget);
  openTarget();

  figures.forEach((figure, number) => {
    controls(figure, number);
    figure.element.querySelector(".numbers").addEventListener("toggle", (event) => event.target.open && fillTable(figure));
  });

  window.addEventListener("beforeprint", () => {
    printing = true;
    figures.filter((figure) => !figure.element.closest("details:not([open])")).forEach(draw);
  });
  window.addEventListener("afterprint", () => { printing = false; refresh(); });

  async function start() {
    const packed = document.getElementById("plotly-packed");
    const bytes = Uint8Array.from(atob(packed.textContent.trim()), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    document.head.append(make("script", { textContent: await new Response(stream).text() }));
    packed.remove();
    const watcher = new IntersectionObserver((seen) => seen.forEach(({ isIntersecting, target }) => {
      if (!isIntersecting) return;
      watcher.unobserve(target);
      draw(figures.find((figure) => figure.element === target));
    }), { rootMargin: "600px" });
    figures.forEach((figure) => watcher.observe(figure.element));
    // Those in view first; the others one by one while nothing else is to be done.
    const idly = window.requestIdleCallback || ((act) => setTimeout(act, 100));
    const drawNext = () => {
      const next = figures.find((figure) => !figure.drawn && !figure.element.closest("details:not([open])"));
      if (!next) return;
      draw(next);
      idly(drawNext);
    };
    idly(drawNext);
    root.dataset.ready = "yes";
  }
  start().catch((error) => {
    document.querySelectorAll(".waiting").forEach((each) => (each.textContent = `The figure cannot be drawn here (${error.message}); see its data table.`));
  });
})();
