/** Servers for ICE, as the answer to an offer tells them: pure. */

const LINK = /<([^>]*)>((?:\s*;\s*[\w-]+="(?:[^"\\]|\\.)*")*)/g;
const PARAMETER = /([\w-]+)="((?:[^"\\]|\\.)*)"/g;

/** The servers in the `Link` headers of an answer (RFC 9725, section 4.6), which a browser gives joined. */
export function iceServersOf(links: string): RTCIceServer[] {
  const servers: RTCIceServer[] = [];
  for (const [, url = "", rest = ""] of links.matchAll(LINK)) {
    const parameters = new Map([...rest.matchAll(PARAMETER)].map(([, name = "", value = ""]) => [name, value.replace(/\\(.)/g, "$1")]));
    if (parameters.get("rel") !== "ice-server" || !/^(stun|turn)s?:/.test(url)) continue;
    const [username, credential] = [parameters.get("username"), parameters.get("credential")];
    servers.push({ urls: url, ...(username !== undefined && credential !== undefined && { username, credential }) });
  }
  return servers;
}

/** Whether both name the same servers in the same order. */
export function areSame(a: readonly RTCIceServer[], b: readonly RTCIceServer[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
