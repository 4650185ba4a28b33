/* What an application does with it: list keys, create one, know every way in which that can end. */
import type { Portal } from "./client";
import { graphql } from "./gql";

const KeysDocument = graphql(`
  query Keys($after: String) {
    keys(first: 50, after: $after) {
      nodes { id name environment status lastUsedAt }
      pageInfo { hasNextPage endCursor }
    }
  }
`);

const CreateDocument = graphql(`
  mutation Create($input: CreateKeyInput!) {
    createKey(input: $input) {
      __typename
      ... on CreatedKey { secret key { id maskedSecret } }
      ... on Problem { code message path }
    }
  }
`);

export async function* allKeys(portal: Portal) {
  let after: string | null = null;
  do {
    const { keys }: { keys: Awaited<ReturnType<typeof page>> } = { keys: await page(portal, after) };
    yield* keys.nodes;
    after = keys.pageInfo.hasNextPage ? (keys.pageInfo.endCursor ?? null) : null;
  } while (after !== null);
}

async function page(portal: Portal, after: string | null) {
  return (await portal.ask(KeysDocument, { after })).keys;
}

export async function createKey(portal: Portal, name: string): Promise<{ id: string; secret: string }> {
  const { createKey: result } = await portal.ask(
    CreateDocument,
    { input: { name, environment: "LIVE", scopes: ["search:read"], allowedIps: [], limits: [] } },
    crypto.randomUUID(),
  );
  if (result.__typename === "CreatedKey") {
    return { id: result.key.id, secret: result.secret };
  }
  throw new Error(`${result.code}: ${result.message}`);
}
