(function () {
  var root = document.documentElement;
  function all(selector, within) { return Array.prototype.slice.call((within || document).querySelectorAll(selector)); }

  var buttons = all("button[data-to]");
  function show(language) {
    root.lang = language;
    document.title = document.querySelector('[data-body="' + language.slice(0, 2) + '"]').getAttribute("data-title");
    buttons.forEach(function (b) { b.setAttribute("aria-pressed", String(b.getAttribute("data-to") === language)); });
    all("option[data-en]").forEach(function (o) { o.textContent = o.getAttribute("data-" + language.slice(0, 2)); });
    all(".no-font").forEach(function (note) { note.hidden = language === "en" || drawsChinese(); });
  }
  function drawsChinese() {
    var canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
    function pixels(text) {
      canvas.width = canvas.height = 24;
      pen.font = "16px " + getComputedStyle(document.body).fontFamily;
      pen.fillText(text, 2, 18);
      return canvas.toDataURL();
    }
    return pixels("\u6c49") !== pixels("\u9f98");
  }
  buttons.forEach(function (b) {
    b.addEventListener("click", function () { show(b.getAttribute("data-to")); });
  });
  function follow() {
    var wanted = location.hash.match(/^#(en|zh)-/);
    if (wanted) show(wanted[1] === "zh" ? "zh-CN" : "en");
    var target = location.hash && document.getElementById(location.hash.slice(1));
    for (var node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    if (target) target.scrollIntoView();
  }
  addEventListener("hashchange", follow);
  show(root.lang);
  follow();

  // Tables sort by a column; rows stay within their group.
  var collator = new Intl.Collator(undefined, {numeric: true});
  function value(row, column) {
    var cell = row.cells[column];
    if (!cell) return "";
    if (cell.dataset.right) return Number(cell.dataset.right);
    var text = cell.innerText.trim().replace(/^< /, ""), number = parseFloat(text.replace(/,/g, "").replace(/^\u2212/, "-"));
    return /^[+\u2212-]?[\d.]/.test(text) && !isNaN(number) ? number : text;
  }
  function sort(table, column, direction) {
    var body = table.tBodies[0], rows = all("tr", body), runs = [[]];
    rows.forEach(function (row) {
      if (row.className === "group") runs.push([row], []);
      else runs[runs.length - 1].push(row);
    });
    runs.forEach(function (run) {
      run.map(function (row) { return [value(row, column), row]; }).sort(function (a, b) {
        var isNumber = typeof a[0] === "number" && typeof b[0] === "number";
        return direction * (isNumber ? a[0] - b[0] : collator.compare(a[0], b[0]));
      }).forEach(function (pair) { body.appendChild(pair[1]); });
    });
  }
  all("table.data").forEach(function (table) {
    var heads = all("thead th", table);
    if (table.tBodies[0].rows.length > 2) heads.forEach(function (head, column) {
      var button = document.createElement("button");
      button.type = "button";
      while (head.firstChild) button.appendChild(head.firstChild);
      head.appendChild(button);
      button.addEventListener("click", function () {
        var direction = head.getAttribute("aria-sort") === "descending" ? 1 : -1;
        heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
        sort(table, column, direction);
      });
    });
  });

  // The grid shows the problems that one arm gets right and another does not.
  var filters = all("select[data-filter]");
  function filter() {
    var right = Number(filters[0].value), wrong = Number(filters[1].value), n = 0;
    all(".cells tbody tr").forEach(function (row) {
      function share(column) { var cell = row.cells[column]; return cell.dataset.right ? Number(cell.dataset.right) : NaN; }
      row.hidden = (right && !(share(right) > 0.5)) || (wrong && !(share(wrong) <= 0.5));
      n += row.hidden ? 0 : 1;
    });
    document.querySelector("[data-count]").textContent = n;
  }
  filters.forEach(function (select) { select.addEventListener("change", filter); });
  all(".filters").forEach(function (line) { line.hidden = false; });

  var opened = [];
  addEventListener("beforeprint", function () {
    opened = all("details:not([open])");
    opened.forEach(function (d) { d.open = true; });
  });
  addEventListener("afterprint", function () { opened.forEach(function (d) { d.open = false; }); });
})();
