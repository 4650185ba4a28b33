// Usage: node audit.mjs URL TOKEN. Prints one JSON line: every audit's id, name, status and reason.
import { auditServer } from "graphql-http";

const [url, token] = process.argv.slice(2);

function fetchAsPerson(address, options = {}) {
  const headers = new Headers(options.headers);
  headers.set("authorization", `Bearer ${token}`);
  return fetch(address, { ...options, headers });
}

const results = await auditServer({ url, fetchFn: fetchAsPerson });
console.log(JSON.stringify(results.map(({ id, name, status, reason }) => ({ id, name, status, reason }))));
