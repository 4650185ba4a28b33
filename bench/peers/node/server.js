// The peer: fastify + rate-limiter-flexible + ioredis with auto-pipelining. One fixed window a key, and nothing else.
// Environment: PORT, REDIS_URL.

import Fastify from "fastify";
import { Redis } from "ioredis";
import { RateLimiterRedis } from "rate-limiter-flexible";

const storeClient = new Redis(process.env.REDIS_URL, { enableAutoPipelining: true, enableOfflineQueue: false });
await new Promise((resolve) => storeClient.once("ready", resolve));
const limiter = new RateLimiterRedis({ storeClient, keyPrefix: "fastify", points: 1_000_000_000, duration: 60 });
const app = Fastify({ logger: false });

app.post("/check", async (request, reply) => {
  try {
    const state = await limiter.consume(request.body.key);
    return { valid: true, code: "VALID", remaining: state.remainingPoints, resetMs: state.msBeforeNext };
  } catch (state) {
    if (state instanceof Error) throw state;
    return reply.code(429).send({ valid: false, code: "RATE_LIMITED", retryAfterMs: state.msBeforeNext });
  }
});

await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
