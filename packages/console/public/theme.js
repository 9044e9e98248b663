// Before the first paint, so that nothing flashes: the remembered theme and language.
;(function () {
  var root = document.documentElement
  try {
    var theme = localStorage.getItem('troupe.theme')
    if (theme === 'light' || theme === 'dark') root.dataset.theme = theme
    var lang = localStorage.getItem('troupe.language') || (navigator.languages || [])[0] || 'en'
    root.lang = lang.slice(0, 2) === 'ja' ? 'ja' : 'en'
  } catch {
    // A browser that keeps nothing gets the defaults.
  }
})()
