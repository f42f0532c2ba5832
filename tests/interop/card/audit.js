(() => {
  const problems = [];
  const parse = colour => (colour.match(/[\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(part => part / 255).map(part => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = node => {
    for (let each = node; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length && (colour.length < 4 || colour[3] > 0)) return colour;
    }
    return null;
  };
  for (const node of document.body.querySelectorAll("*")) {
    const own = [...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim());
    if (!own || /^(SCRIPT|STYLE)$/.test(node.tagName) || node.id === "live") continue;
    const ground = behind(node), style = getComputedStyle(node);
    if (!ground) { problems.push(`nothing behind ${node.textContent.slice(0, 40)}`); continue; }
    const [a, b] = [light(parse(style.color)), light(ground)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) problems.push(`contrast ${ratio.toFixed(1)}: ${node.textContent.slice(0, 40)}`);
  }
  const wide = document.documentElement;
  if (wide.scrollWidth > wide.clientWidth) problems.push(`wider than its frame: ${wide.scrollWidth} > ${wide.clientWidth}`);
  for (const node of document.querySelectorAll("img")) if (!node.alt) problems.push("a picture without alt");
  for (const node of document.querySelectorAll("video, audio, progress")) if (!node.getAttribute("aria-label")) problems.push(`${node.tagName} without a label`);
  for (const node of document.querySelectorAll("button")) if (!(node.textContent.trim() || node.getAttribute("aria-label"))) problems.push("a button without a label");
  return problems;
})()
