/* GraphiQL on this portal's own endpoint, with the session's cookie. Subscriptions come as server-sent events. */
"use strict";

(() => {
  const START = `# Everything here is about your own account; Ctrl-Space lists what there is.
query Overview {
  viewer { person { name } account { name } role }
  quota { limit used remaining }
  keys(first: 5) { totalCount nodes { id name status lastUsedAt } }
}
`;
  const ADDRESS = "/graphql";

  const isSubscription = (params) => {
    const operations = params.query.replace(/#.*/g, "").match(/\b(query|mutation|subscription)\b\s*\w*/g) || [];
    const named = operations.find((text) => text.split(/\s+/)[1] === params.operationName);
    return (named || operations[0] || "").startsWith("subscription");
  };

  const send = (params, options, accept, signal) =>
    fetch(ADDRESS, {
      method: "POST",
      headers: { ...(options && options.headers), "Content-Type": "application/json", Accept: accept },
      body: JSON.stringify(params),
      signal,
    });

  /* The events of one response, as they come: blocks that end with an empty line. */
  const eachEvent = async (response, tell) => {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      const blocks = text.split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const data = block.match(/^data: (.+)$/m);
        if (data) tell(JSON.parse(data[1]));
      }
    }
  };

  const subscribe = (params, options) => ({
    subscribe(observer) {
      const leaving = new AbortController();
      (async () => {
        const response = await send(params, options, "text/event-stream", leaving.signal);
        if (response.ok) await eachEvent(response, (event) => observer.next(event));
        else observer.next(await response.json());
        observer.complete();
      })().catch((error) => leaving.signal.aborted || observer.error(error));
      return { unsubscribe: () => leaving.abort() };
    },
  });

  const fetcher = async (params, options) => {
    if (isSubscription(params)) return subscribe(params, options);
    const response = await send(params, options, "application/graphql-response+json, application/json;q=0.9");
    return response.json();
  };

  /* Editors come and go with tabs; each gets the name that a screen reader says, and scrolls by keyboard. */
  const NAMES = { "graphiql-query-editor": "Query", "result-window": "Answer", "graphiql-editor-tool": "Variables and headers" };
  const nameEditors = () => {
    for (const [part, name] of Object.entries(NAMES)) {
      for (const area of document.querySelectorAll(`.${part} .CodeMirror textarea:not([aria-label])`)) {
        area.setAttribute("aria-label", name);
      }
    }
    for (const region of document.querySelectorAll("#explorer .CodeMirror-scroll:not([role])")) {
      region.tabIndex = 0;
      region.setAttribute("role", "group");
      region.setAttribute("aria-label", "Scrolls");
    }
  };
  new MutationObserver(nameEditors).observe(document.getElementById("explorer"), { childList: true, subtree: true });

  const asked = new URLSearchParams(location.search);
  ReactDOM.createRoot(document.getElementById("explorer")).render(
    React.createElement(GraphiQL, {
      fetcher,
      defaultQuery: START,
      query: asked.get("query") || undefined,
      variables: asked.get("variables") || undefined,
      shouldPersistHeaders: false,
    }),
  );
})();
