// Of which tenant the desk is, for those who belong to several.
import { $, desk } from "./dom.js";
import { openMenu } from "./menu.js";
import { me, on } from "./store.js";

const place = $("desk-tenant");

place.addEventListener("click", () => {
  const items = me.tenants.map((tenant) => ({ value: tenant.id, label: tenant.name, icon: "tenants", isOn: tenant.id === me.tenant.id }));
  openMenu(place, { title: place.title, items, pick: (id) => location.assign(`${desk.dataset.root}?tenant=${id}`) });
});
on("me", () => {
  place.hidden = me.tenants.length < 2;
  place.querySelector("[data-word]").textContent = me.tenant?.name ?? "";
});
