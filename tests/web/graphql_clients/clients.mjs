// Usage: node clients.mjs URL TOKEN. Prints a JSON object: what a query, a mutation that is refused and a subscription
// gave each client with its default settings. An unhandled rejection ends the process.
import apolloModule from "@apollo/client/core/core.cjs";
import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { GraphQLClient } from "graphql-request";
import { createClient as createSseClient } from "graphql-sse";

const { ApolloClient, HttpLink, InMemoryCache, gql: apolloGql } = apolloModule;
const [url, token] = process.argv.slice(2);
const headers = { authorization: `Bearer ${token}` };
const QUERY = "query { viewer { role } }";
const MUTATION = 'mutation { pauseKey(id: "key_none") { __typename } }';
const SUBSCRIPTION = "subscription { usageTicks { calls } }";
const results = {};

const urql = new Client({
  url,
  exchanges: [
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: (request) => ({ subscribe: (sink) => ({ unsubscribe: sse.subscribe(request, sink) }) }),
    }),
  ],
  fetchOptions: { headers },
  preferGetMethod: false,
});
const sse = createSseClient({ url: url + "/stream", headers });
const urqlByFetch = new Client({ url, exchanges: [fetchExchange], fetchOptions: { headers }, fetchSubscriptions: true });
const apollo = new ApolloClient({ link: new HttpLink({ uri: url, headers }), cache: new InMemoryCache() });
const plain = new GraphQLClient(url, { headers });

async function first(source) {
  return new Promise((resolve, reject) => {
    const { unsubscribe } = source.subscribe((result) => {
      setTimeout(() => unsubscribe());
      result.error ? reject(result.error) : resolve(result.data);
    });
  });
}

results.urql = {
  query: (await urql.query(QUERY, {}).toPromise()).data,
  mutation: (await urql.mutation(MUTATION, {}).toPromise()).data,
  subscription: await first(urql.subscription(SUBSCRIPTION, {})),
};
results.urqlByFetch = {
  query: (await urqlByFetch.query(QUERY, {}).toPromise()).data,
  mutation: (await urqlByFetch.mutation(MUTATION, {}).toPromise()).data,
  subscription: await first(urqlByFetch.subscription(SUBSCRIPTION, {})),
};
results.apollo = {
  query: (await apollo.query({ query: apolloGql(QUERY) })).data,
  mutation: (await apollo.mutate({ mutation: apolloGql(MUTATION) })).data,
};
results.graphqlRequest = { query: await plain.request(QUERY), mutation: await plain.request(MUTATION) };
console.log(JSON.stringify(results));
process.exit(0);
