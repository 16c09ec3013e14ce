// What the extension does, without anything that it looks like: so it runs, and is tested, outside of checkout too.

import { RELEASE, RESERVATION, RESERVE, STANDING } from './documents.ts';

/** The cart's attribute by which the order, and the discount function, know the reservation. */
export const ATTRIBUTE = '_loyalnest_reservation';

/** How often, and how long apart, it is asked whether checkout has been told of a reservation: five seconds in all. */
export const LOOKS = 20;
export const PAUSE_MS = 250;

/** How many rewards are looked through for the way to pay with points. */
const REWARDS = 100;

export interface World {
  server: string;
  fetch: typeof fetch;
  /** Shopify's token of the checkout; it names the customer, or nobody. */
  sessionToken(): Promise<string>;
  setAttribute(key: string, value: string): Promise<void>;
  removeAttribute(key: string): Promise<void>;
  pause(milliseconds: number): Promise<void>;
}

/** Points are integers beyond what a float holds, so they stay what the server sends: numbers that JSON can carry, or text. */
export type Points = number | string;

export interface Standing {
  balance: Points;
  /** So many points are worth that amount. */
  rate: { points: Points; amount: string; currency: string };
}

export interface Reservation {
  id: string;
  points: Points;
  attributeKey: string;
  attributeValue: string;
}

/** The server refused, with its codes, or could not be understood. */
export class Refused extends Error {
  readonly codes: string[];

  constructor(codes: string[]) {
    super(codes.join(', '));
    this.codes = codes;
  }
}

/** Asks the server as the customer of this checkout. A token of ours lasts half an hour; a checkout may last longer. */
export class Server {
  readonly #world: World;
  #token: Promise<string> | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  async ask<T>(query: string, variables: Record<string, unknown>): Promise<T> {
    for (const isLast of [false, true]) {
      const token = await (this.#token ??= this.#exchange());
      const answer = await this.#post('/graphql', token, { query, variables });
      if (answer.status === 401 && !isLast) {
        this.#token = undefined;
        continue;
      }
      const body = (await answer.json()) as { data?: T; errors?: { extensions?: { code?: string } }[] };
      if (body.errors || !body.data) {
        throw new Refused((body.errors ?? []).map((error) => error.extensions?.code ?? 'INTERNAL'));
      }
      return body.data;
    }
    throw new Refused(['UNAUTHENTICATED']);
  }

  async #exchange(): Promise<string> {
    const answer = await this.#post('/tokens/customer', await this.#world.sessionToken());
    if (!answer.ok) {
      // The next attempt begins anew.
      this.#token = undefined;
      throw new Refused(['UNAUTHENTICATED']);
    }
    return ((await answer.json()) as { token: string }).token;
  }

  #post(path: string, token: string, body?: unknown): Promise<Response> {
    return this.#world.fetch(this.#world.server.replace(/\/+$/, '') + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }
}

/** The customer's balance and what points are worth here; null when the shop takes none, or none of this customer. */
export async function standing(server: Server): Promise<Standing | null> {
  type Reward = {
    kind: string;
    points: Points;
    amount: string | null;
    currency: string;
    availability: { obstacles: string[] } | null;
  };
  const found = await server.ask<{ customer: { pointsBalance: Points } | null; rewards: { nodes: Reward[] } }>(STANDING, {
    first: REWARDS,
  });
  const way = found.rewards.nodes.find((reward) => reward.kind === 'PAY_WITH_POINTS');
  // Too few points for the rate's unit is no obstacle: fewer are worth less.
  const obstacles = way?.availability?.obstacles.filter((one) => one !== 'INSUFFICIENT_POINTS') ?? [];
  if (!found.customer || !way?.amount || obstacles.length > 0) {
    return null;
  }
  return { balance: found.customer.pointsBalance, rate: { points: way.points, amount: way.amount, currency: way.currency } };
}

/**
 * Sets points aside and has the cart carry them. key: names this attempt; repeated with it, nothing is taken twice.
 *
 * The function that gives the discount runs when the cart changes, and must know of the reservation by then: so the cart is changed
 * when checkout has been told. When it cannot be changed, the points are let go.
 */
export async function reserve(world: World, server: Server, points: number, key: string): Promise<Reservation> {
  const { pointsReserve } = await server.ask<{
    pointsReserve: { reservation: Reservation | null; userErrors: { code: string }[] };
  }>(RESERVE, { points, key });
  const held = pointsReserve.reservation;
  if (!held) {
    throw new Refused(pointsReserve.userErrors.map((error) => error.code));
  }
  try {
    for (let look = 0; look < LOOKS; look += 1) {
      const { node } = await server.ask<{ node: { isAtCheckout: boolean } | null }>(RESERVATION, { id: held.id });
      if (node?.isAtCheckout) {
        break;
      }
      await world.pause(PAUSE_MS);
    }
    await world.setAttribute(held.attributeKey, held.attributeValue);
  } catch (error) {
    await server.ask(RELEASE, { id: held.id });
    throw error;
  }
  return held;
}

/** The reservation that the cart carries, after the page was loaded again; null when it has none that is still held. */
export async function carried(server: Server, value: string | undefined): Promise<Reservation | null> {
  if (!value || !/^[0-9a-f-]{36}$/.test(value)) {
    return null;
  }
  const { node } = await server.ask<{ node: (Reservation & { status: string }) | null }>(RESERVATION, {
    id: `gid://loyalnest/PointsReservation/${value}`,
  });
  return node?.status === 'held' ? node : null;
}

/** Lets the points go. The cart forgets them first, so that no order is placed with a discount that is not paid for. */
export async function release(world: World, server: Server, held: Reservation): Promise<void> {
  await world.removeAttribute(held.attributeKey);
  const { reservationRelease } = await server.ask<{ reservationRelease: { userErrors: { code: string }[] } }>(RELEASE, { id: held.id });
  if (reservationRelease.userErrors.length > 0) {
    throw new Refused(reservationRelease.userErrors.map((error) => error.code));
  }
}
