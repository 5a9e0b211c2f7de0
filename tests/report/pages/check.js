// Run in a page: what of its text overlaps, is cut or broken. Returns a list of faults in words.
function faultsOf(doc, width) {
  const faults = [], view = doc.defaultView;
  const visible = (element) => {
    if (!element.checkVisibility || !element.checkVisibility({ visibilityProperty: true })) return false;
    for (let each = element; each && each !== doc.body; each = each.parentElement) {
      const style = view.getComputedStyle(each);
      if (style.clipPath !== "none" && each.namespaceURI.endsWith("xhtml")) return false; // for screen readers alone
      if (each.className === "skip") return false;
    }
    return !element.closest("title, desc, style, script");
  };
  if (doc.scrollingElement.scrollWidth > width + 1) faults.push(`body scrolls sideways: ${doc.scrollingElement.scrollWidth} of ${width}`);
  const pieces = []; // {text, box, group}
  for (const svg of doc.querySelectorAll("svg")) {
    if (!visible(svg)) continue;
    const frame = svg.getBoundingClientRect();
    for (const text of svg.querySelectorAll("text")) {
      if (!text.textContent.trim()) continue;
      const box = text.getBoundingClientRect();
      const scale = frame.width / svg.viewBox.baseVal.width;
      if (parseFloat(view.getComputedStyle(text).fontSize) * scale < 6) faults.push(`too small to read: "${text.textContent.trim()}"`);
      pieces.push({ text: text.textContent.trim(), box, group: svg });
      if (box.left < frame.left - 2 || box.right > frame.right + 2 || box.top < frame.top - 2 || box.bottom > frame.bottom + 2)
        faults.push(`cut by its figure: "${text.textContent.trim()}"`);
    }
  }
  const walker = doc.createTreeWalker(doc.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!node.data.trim() || parent.closest("svg") || !visible(parent)) continue;
    const range = doc.createRange();
    for (const word of node.data.matchAll(/\S+/g)) {
      range.setStart(node, word.index); range.setEnd(node, word.index + word[0].length);
      const boxes = [...range.getClientRects()].filter((box) => box.width > 0);
      const tops = boxes.map((box) => box.top), apart = Math.max(...tops) - Math.min(...tops);
      if (boxes.length > 1 && apart > 0.5 * boxes[0].height && !/[-+\u2010\u2013/.,:;=_()\[\]×·…]/.test(word[0].slice(1, -1)) && word[0].length < 30) faults.push(`broken word: "${word[0]}"`);
      const scrolls = parent.closest(".scroll, .canvas");
      for (const box of boxes) {
        if (!scrolls && box.right > width + 1) faults.push(`beyond the page: "${word[0]}"`);
        pieces.push({ text: word[0], box, group: doc.body });
      }
    }
    if (parent.scrollWidth > parent.clientWidth + 1 && ["hidden", "clip"].includes(view.getComputedStyle(parent).overflowX))
      faults.push(`cut: "${parent.textContent.trim().slice(0, 60)}"`);
  }
  pieces.sort((a, b) => a.box.top - b.box.top);
  for (let i = 0; i < pieces.length; i++) {
    const a = pieces[i];
    for (let k = i + 1; k < pieces.length && pieces[k].box.top < a.box.bottom - 1.5; k++) {
      const b = pieces[k];
      if (a.group !== b.group) continue;
      const across = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
      const down = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
      // A line box is higher than its letters: texts overlap where they share more than a third of the lower one.
      if (across > 1.5 && down > 0.35 * Math.min(a.box.height, b.box.height) && down > 1.5) faults.push(`overlap: "${a.text}" and "${b.text}"`);
    }
  }
  const first = doc.querySelector(".finding.lead .words"), figure = doc.querySelector(".canvas");
  const screen = width > 600 ? 900 : 844;
  if (first && first.getBoundingClientRect().bottom > screen) faults.push("the first finding is below the first screen");
  if (!figure) faults.push("no figure answers on the first screen");
  else if (figure.getBoundingClientRect().bottom > screen) faults.push(`the first figure ends at ${Math.round(figure.getBoundingClientRect().bottom)} of ${screen}`);
  return [...new Set(faults)];
}
