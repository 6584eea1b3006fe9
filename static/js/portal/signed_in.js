// A link for another device was used: keep the new session in this browser, and go to the chat.
import { keepToken } from "./session.js";

const place = document.getElementById("signed-in");
keepToken(place.dataset.token);
location.replace(place.dataset.chat);
