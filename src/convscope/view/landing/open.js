// Opens the app at the place that a page is about.
const to = document.documentElement.dataset.opens;
if (to) location.replace(to);
