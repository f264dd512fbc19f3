(function () {
  var root = document.documentElement, buttons = document.querySelectorAll("button[data-to]");
  function show(language) {
    root.lang = language;
    document.title = document.querySelector('main[data-body="' + language + '"]').getAttribute("data-title");
    buttons.forEach(function (b) { b.setAttribute("aria-pressed", String(b.getAttribute("data-to") === language)); });
  }
  buttons.forEach(function (b) {
    b.addEventListener("click", function () { show(b.getAttribute("data-to")); });
  });
  function follow() {
    var wanted = location.hash.match(/^#(en|zh)\b/);
    if (wanted) show(wanted[1]);
  }
  addEventListener("hashchange", follow);
  follow();
  var opened = [];
  addEventListener("beforeprint", function () {
    opened = Array.prototype.slice.call(document.querySelectorAll("details:not([open])"));
    opened.forEach(function (d) { d.open = true; });
  });
  addEventListener("afterprint", function () { opened.forEach(function (d) { d.open = false; }); });
})();
