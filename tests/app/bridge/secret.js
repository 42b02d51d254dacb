// The secret of this start of the server, which a page that is reloaded without it, or framed, still has.
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) sessionStorage.setItem("sampan-token", given);

export const token = given ?? sessionStorage.getItem("sampan-token") ?? "";
