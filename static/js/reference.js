// The API reference: Swagger UI from our own server, fed with our own schema, light or dark as the rest.
const place = document.getElementById("reference");
const system = matchMedia("(prefers-color-scheme: dark)");

function colour() {
  const chosen = document.documentElement.dataset.theme ?? "auto";
  document.documentElement.classList.toggle("dark-mode", chosen === "dark" || (chosen === "auto" && system.matches));
}

colour();
system.addEventListener("change", colour);
window.SwaggerUIBundle({
  url: place.dataset.schema,
  domNode: place,
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
});
