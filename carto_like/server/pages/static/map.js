"use strict";
(() => {
  const config = JSON.parse(document.getElementById("config").textContent);
  const container = document.getElementById("map");
  const attributes = document.getElementById("attributes");
  const under = document.getElementById("under");
  const trouble = document.getElementById("trouble");
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const dark = !config.raster && matchMedia("(prefers-color-scheme: dark)").matches;
  const MOST_SHOWN = 20;
  const REACH = 4;

  // Workers, which fetch tiles, know no page that an address could be relative to.
  const absolute = (path) => location.origin + path;

  const ink = dark ? "#9ecbff" : "#24507c";
  const kinds = {
    Polygon: (opacity) => ({ type: "fill", paint: { "fill-color": ink, "fill-opacity": 0.35 * opacity } }),
    LineString: (opacity) => ({ type: "line", paint: { "line-color": ink, "line-width": 2, "line-opacity": opacity } }),
    Point: (opacity) => ({
      type: "circle",
      paint: {
        "circle-color": ink, "circle-radius": 5, "circle-opacity": 0.8 * opacity,
        "circle-stroke-color": dark ? "#000" : "#fff", "circle-stroke-width": 1, "circle-stroke-opacity": opacity,
      },
    }),
  };

  function style() {
    const sources = { rows: { type: "vector", tiles: [absolute(config.vector)], maxzoom: 22 } };
    const layers = [{ id: "paper", type: "background", paint: { "background-color": dark ? "#14181d" : "#ffffff" } }];
    if (config.raster) {
      const sharp = devicePixelRatio > 1 ? "@2x" : "";
      const tiles = [absolute(config.raster.replace("{sharp}", sharp))];
      sources.picture = { type: "raster", tiles, tileSize: 256, maxzoom: 22 };
      layers.push({ id: "picture", type: "raster", source: "picture", paint: { "raster-fade-duration": 0 } });
    }
    for (const layer of config.layers) {
      for (const [kind, look] of Object.entries(kinds)) {
        const filter = ["==", ["geometry-type"], kind];
        // Over a picture rows are there to be asked, not to be seen.
        const drawn = look(config.raster ? 0 : 1);
        layers.push({ id: `${layer}/${kind}`, source: "rows", "source-layer": layer, filter, ...drawn });
      }
    }
    return { version: 8, sources, layers };
  }

  const view = config.bounds ? { bounds: config.bounds, fitBoundsOptions: { padding: 40, maxZoom: 14 } } : { zoom: 0 };
  const map = new maplibregl.Map({
    container, style: style(), ...view, attributionControl: false, fadeDuration: 0, dragRotate: false,
    pitchWithRotate: false, maxZoom: 22, renderWorldCopies: true,
  });
  // For the console, and for whoever automates the page.
  container.maplibre = map;
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }));
  map.addControl(new maplibregl.ScaleControl());
  map.touchZoomRotate.disableRotation();

  const queried = config.layers.flatMap((layer) => Object.keys(kinds).map((kind) => `${layer}/${kind}`));

  function rowsAt(point) {
    const box = [[point.x - REACH, point.y - REACH], [point.x + REACH, point.y + REACH]];
    const seen = new Set();
    return map.queryRenderedFeatures(box, { layers: queried }).filter((feature) => {
      // The same row is in every tile that it touches.
      const key = `${feature.sourceLayer} ${feature.properties.cartodb_id ?? JSON.stringify(feature.properties)}`;
      return !seen.has(key) && seen.add(key);
    });
  }

  function show(point) {
    const rows = rowsAt(point);
    attributes.replaceChildren(...rows.slice(0, MOST_SHOWN).map((row) => {
      const list = document.createElement("dl");
      for (const [name, value] of Object.entries(row.properties)) {
        // As text: what people keep in their tables is no markup here.
        list.append(Object.assign(document.createElement("dt"), { textContent: name }));
        list.append(Object.assign(document.createElement("dd"), { textContent: String(value) }));
      }
      return list;
    }));
    const left = rows.length - MOST_SHOWN;
    const note = !rows.length ? "There is nothing here." : left > 0 ? `And ${left} more.` : "";
    if (note) attributes.append(Object.assign(document.createElement("p"), { textContent: note }));
  }

  function name(row) {
    const entries = Object.entries(row.properties);
    const named = entries.find(([column]) => /^(name|title|label)$/i.test(column));
    return String((named ?? entries.find(([, value]) => typeof value === "string") ?? entries[0] ?? ["", ""])[1]);
  }

  map.on("click", (event) => show(event.point));
  map.on("mousemove", (event) => {
    const rows = rowsAt(event.point);
    map.getCanvas().style.cursor = rows.length ? "pointer" : "";
    under.textContent = rows.length ? name(rows[0]) : "";
  });
  map.getCanvas().addEventListener("keydown", (event) => {
    if (event.key === "Enter") show(map.project(map.getCenter()));
  });

  map.on("dataloading", () => container.setAttribute("aria-busy", "true"));
  map.on("movestart", () => container.setAttribute("aria-busy", "true"));
  map.on("idle", () => container.setAttribute("aria-busy", "false"));
  map.on("error", (event) => {
    trouble.textContent = `The map could not be drawn: ${event.error?.message ?? "unknown trouble"}`;
    container.setAttribute("aria-busy", "false");
  });

  const fit = document.getElementById("fit");
  fit.disabled = !config.bounds;
  fit.addEventListener("click", () => {
    map.fitBounds(config.bounds, { padding: 40, maxZoom: 14, animate: !still });
  });
})();
