/* The whole client: sends a typed document, answers typed data. */
import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { print } from "graphql";

export class PortalError extends Error {
  constructor(
    message: string,
    readonly code: string,
    readonly retryAfterSeconds: number | null,
  ) {
    super(message);
  }
}

export class Portal {
  constructor(
    private readonly url: string,
    private readonly token: string,
  ) {}

  /* `idempotencyKey` makes a mutation safe to send again: within ten minutes it is answered the same. */
  async ask<Data, Variables>(
    document: TypedDocumentNode<Data, Variables>,
    variables: Variables,
    idempotencyKey?: string,
  ): Promise<Data> {
    const response = await fetch(`${this.url}/graphql`, {
      method: "POST",
      headers: {
        Authorization: `Bearer ${this.token}`,
        "Content-Type": "application/json",
        Accept: "application/graphql-response+json",
        ...(idempotencyKey ? { "Idempotency-Key": idempotencyKey } : {}),
      },
      body: JSON.stringify({ query: print(document), variables }),
    });
    const { data, errors } = (await response.json()) as {
      data?: Data;
      errors?: { message: string; extensions?: { code?: string } }[];
    };
    const error = errors?.[0];
    if (error || data === undefined) {
      const wait = response.headers.get("Retry-After");
      throw new PortalError(
        error?.message ?? `The portal answered ${response.status}.`,
        error?.extensions?.code ?? "UNKNOWN",
        wait === null ? null : Number(wait),
      );
    }
    return data;
  }
}
