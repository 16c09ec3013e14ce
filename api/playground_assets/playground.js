// The credential comes in the address, `/graphql#token=…`, and stays in this tab: it leaves the address bar at once, so that
// nobody copies it with a link, and is sent to nobody but our own server.
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  sessionStorage.setItem("loyalnest-token", given);
  history.replaceState(null, "", location.pathname);
}
const token = sessionStorage.getItem("loyalnest-token");
const credential = token ? { authorization: `Bearer ${token}` } : {};

const socket = new URL("/graphql", location.href);
socket.protocol = socket.protocol === "https:" ? "wss:" : "ws:";

// The editor's own headers come over these, for queries and for subscriptions alike.
const send = GraphiQL.createFetcher({
  url: "/graphql",
  subscriptionUrl: socket.href,
  headers: credential,
  wsConnectionParams: credential,
});

const NO_TOKEN =
  "There is no credential. Open this page as /graphql#token=…, with a token of .loyalnest/demo.json, " +
  'or write { "authorization": "Bearer …" } under Headers below.';

async function fetcher(operation, options) {
  const headers = { ...credential, ...options?.headers };
  if (!Object.keys(headers).some((name) => name.toLowerCase() === "authorization")) {
    return { errors: [{ message: NO_TOKEN }] };
  }
  if (/^\s*subscription\b/m.test(operation.query)) {
    // A refused socket is tried again for half a minute without a word. A question says at once what is wrong.
    const answer = await fetch("/graphql", {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ query: "{ __typename }" }),
    });
    if (!answer.ok) return answer.json();
  }
  return send(operation, options);
}

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher,
    defaultEditorToolsVisibility: token ? false : "headers",
    shouldPersistHeaders: false,
    defaultQuery: `# What can be seen is the credential's: this one is for staff.
query {
  program {
    version
    definition {
      earningRate { points per }
      pointsName { plural }
    }
  }
  customers(first: 10) {
    nodes {
      id
      firstName
      pointsBalance
      pointsPending
    }
  }
}
`,
  }),
);
