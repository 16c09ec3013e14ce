// Run by Node's own runner: `npm test` here, and tests/functions/test_checkout_points.py.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LOOKS, Refused, Server, carried, release, reserve, standing } from '../src/points.ts';
import type { World } from '../src/points.ts';

const HELD = { id: 'gid://loyalnest/PointsReservation/r', points: 5, attributeKey: '_k', attributeValue: 'r' };

type Answer = { status?: number; body: unknown };

/** A server that answers in turn, and a checkout that writes down what is done to it. */
function scene(answers: Answer[], options: { attributeFails?: boolean } = {}) {
  const asked: { path: string; token: string; body: any }[] = [];
  const done: string[] = [];
  const world: World = {
    server: 'https://loyalnest.test/',
    fetch: (async (input: string, init: RequestInit) => {
      const path = input.replace('https://loyalnest.test', '');
      const token = (init.headers as Record<string, string>)['authorization']!.replace('Bearer ', '');
      asked.push({ path, token, body: init.body ? JSON.parse(init.body as string) : null });
      if (path === '/tokens/customer') {
        return Response.json({ token: `ours ${asked.filter((one) => one.path === path).length}` });
      }
      const answer = answers.shift();
      assert.ok(answer, 'nothing more was expected');
      return Response.json(answer.body, { status: answer.status ?? 200 });
    }) as unknown as typeof fetch,
    sessionToken: async () => 'shopify',
    setAttribute: async (key, value) => {
      if (options.attributeFails) throw new Error('no');
      done.push(`set ${key}=${value}`);
    },
    removeAttribute: async (key) => {
      done.push(`remove ${key}`);
    },
    pause: async (milliseconds) => {
      done.push(`pause ${milliseconds}`);
    },
  };
  return { world, server: new Server(world), asked, done };
}

const data = (value: unknown): Answer => ({ body: { data: value } });
const reserved = data({ pointsReserve: { reservation: HELD, userErrors: [] } });
const at = (isAtCheckout: boolean) => data({ node: { ...HELD, status: 'held', isAtCheckout } });
const way = { kind: 'PAY_WITH_POINTS', points: 100, amount: '1.00', currency: 'USD', availability: { obstacles: ['INSUFFICIENT_POINTS'] } };

test('the balance and the rate are shown, with one token for both questions', async () => {
  const { server, asked } = scene([
    data({ customer: { pointsBalance: 7 }, rewards: { nodes: [{ ...way, kind: 'COUPON' }, way] } }),
    data({ customer: { pointsBalance: 7 }, rewards: { nodes: [] } }),
  ]);
  assert.deepEqual(await standing(server), { balance: 7, rate: { points: 100, amount: '1.00', currency: 'USD' } });
  assert.equal(await standing(server), null);
  assert.deepEqual(asked.map((one) => [one.path, one.token]), [
    ['/tokens/customer', 'shopify'],
    ['/graphql', 'ours 1'],
    ['/graphql', 'ours 1'],
  ]);
});

test('a way to pay that is for others is not shown', async () => {
  const closed = { ...way, availability: { obstacles: ['TIER_REQUIRED', 'INSUFFICIENT_POINTS'] } };
  const { server } = scene([data({ customer: { pointsBalance: 7 }, rewards: { nodes: [closed] } })]);
  assert.equal(await standing(server), null);
});

test('a token that has run out is exchanged anew, once', async () => {
  const gone = { status: 401, body: { errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] } };
  const again = scene([gone, data({ customer: null, rewards: { nodes: [] } })]);
  assert.equal(await standing(again.server), null);
  assert.deepEqual(again.asked.map((one) => one.token), ['shopify', 'ours 1', 'shopify', 'ours 2']);
  await assert.rejects(standing(scene([gone, gone]).server), new Refused(['UNAUTHENTICATED']));
});

test('the cart is changed only when checkout has been told', async () => {
  const { world, server, asked, done } = scene([reserved, at(false), at(false), at(true)]);
  assert.deepEqual(await reserve(world, server, 5, 'key'), HELD);
  assert.deepEqual(asked[1]!.body.variables, { points: 5, key: 'key' });
  assert.deepEqual(done, ['pause 250', 'pause 250', 'set _k=r']);
});

test('a checkout that is told late gets its reservation all the same', async () => {
  const { world, server, done } = scene([reserved, ...Array.from({ length: LOOKS }, () => at(false))]);
  await reserve(world, server, 5, 'key');
  assert.equal(done.at(-1), 'set _k=r');
});

test('points that the cart cannot carry are let go', async () => {
  const { world, server, asked } = scene(
    [reserved, at(true), data({ reservationRelease: { reservation: HELD, userErrors: [] } })],
    { attributeFails: true },
  );
  await assert.rejects(reserve(world, server, 5, 'key'), new Error('no'));
  assert.deepEqual(asked.at(-1)!.body.variables, { id: HELD.id });
});

test('a refusal says why, and changes nothing', async () => {
  const { world, server, done } = scene([
    data({ pointsReserve: { reservation: null, userErrors: [{ code: 'INSUFFICIENT_POINTS' }] } }),
  ]);
  await assert.rejects(reserve(world, server, 5, 'key'), new Refused(['INSUFFICIENT_POINTS']));
  assert.deepEqual(done, []);
});

test('releasing takes the attribute away first', async () => {
  const { world, server, done } = scene([data({ reservationRelease: { reservation: HELD, userErrors: [] } })]);
  await release(world, server, HELD);
  assert.deepEqual(done, ['remove _k']);
});

test('what a cart carries is asked for only when it can be a reservation, and shown only while it is held', async () => {
  const id = '01a1ff3d-91ba-7660-a07b-1c78687be8f3';
  const { server, asked } = scene([data({ node: { ...HELD, status: 'held' } }), data({ node: { ...HELD, status: 'captured' } }), data({ node: null })]);
  for (const value of [undefined, '', 'x', `${id}/..`]) {
    assert.equal(await carried(server, value), null);
  }
  assert.deepEqual(asked, []);
  assert.equal((await carried(server, id))?.points, 5);
  assert.equal(await carried(server, id), null);
  assert.equal(await carried(server, id), null);
});
