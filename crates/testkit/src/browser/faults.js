// What is wrong with the page as it is seen: text beyond its edge, text too small, headings out of order.
(() => {
  const wide = document.documentElement.clientWidth;
  const faults = [];
  if (document.documentElement.scrollWidth > wide) faults.push('the page is wider than the window');
  for (const element of document.body.querySelectorAll('*')) {
    const box = element.getBoundingClientRect();
    const hidden = element.closest('.unseen') || box.width === 0;
    if (!hidden && (box.right > wide + 1 || box.left < -1)) faults.push('beyond the edge: ' + element.outerHTML.slice(0, 90));
    const svg = element.closest('svg');
    const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
    const size = parseFloat(getComputedStyle(element).fontSize) * scale;
    const hasText = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    const told = !hidden && hasText && !['TITLE', 'DESC'].includes(element.tagName.toUpperCase());
    if (told && size < 9.5) faults.push(size.toFixed(1) + ' px: ' + element.outerHTML.slice(0, 90));
    if (svg && element !== svg && box.width > 0) {
      const frame = svg.getBoundingClientRect();
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        faults.push('outside its plot: ' + element.outerHTML.slice(0, 90));
    }
  }
  let last = 0;
  for (const heading of document.querySelectorAll('h1, h2, h3, h4, h5, h6')) {
    const level = Number(heading.tagName[1]);
    if (level > last + 1) faults.push('after h' + last + ' comes ' + heading.outerHTML.slice(0, 90));
    last = level;
  }
  if (document.querySelectorAll('h1').length !== 1) faults.push('not exactly one h1');
  return faults;
})()
