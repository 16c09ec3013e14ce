import '@shopify/ui-extensions/preact';
import { render } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';

import { ATTRIBUTE, Server, carried, release, reserve, standing } from './points.ts';
import type { Reservation, Standing, World } from './points.ts';

export default async () => {
  const server = shopify.settings.value.server_url;
  // A guest has no points, and without an address nobody can be asked.
  if (typeof server === 'string' && server && shopify.buyerIdentity?.customer.value) {
    render(<PayWithPoints world={world(server)} />, document.body);
  }
};

function world(server: string): World {
  return {
    server,
    fetch: (input, init) => fetch(input, init),
    sessionToken: () => shopify.sessionToken.get(),
    setAttribute: (key, value) => changed(shopify.applyAttributeChange({ type: 'updateAttribute', key, value })),
    removeAttribute: (key) => changed(shopify.applyAttributeChange({ type: 'removeAttribute', key })),
    pause: (milliseconds) => new Promise((done) => setTimeout(done, milliseconds)),
  };
}

async function changed(change: Promise<{ type: 'success' } | { type: 'error'; message: string }>): Promise<void> {
  const result = await change;
  if (result.type === 'error') {
    throw new Error(result.message);
  }
}

function PayWithPoints({ world }: { world: World }) {
  const server = useMemo(() => new Server(world), [world]);
  const [shown, setShown] = useState<Standing | null>(null);
  const [held, setHeld] = useState<Reservation | null>(null);
  const [points, setPoints] = useState('');
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState(false);
  const [key, setKey] = useState(() => crypto.randomUUID());

  /** Does one thing at a time. A new attempt has a new key only after one that came to an end. */
  async function attempt(act: () => Promise<void>): Promise<void> {
    setBusy(true);
    setFailed(false);
    try {
      await act();
      setKey(crypto.randomUUID());
      setShown(await standing(server));
    } catch {
      setFailed(true);
    } finally {
      setBusy(false);
    }
  }

  useEffect(() => {
    const value = shopify.attributes.value.find((one) => one.key === ATTRIBUTE)?.value;
    void attempt(async () => setHeld(await carried(server, value)));
  }, [server]);

  if (!shown || !shopify.instructions.value.attributes.canUpdateAttributes) {
    return null;
  }
  const wanted = /^[1-9][0-9]{0,14}$/.test(points) ? Number(points) : null;
  return (
    <s-stack gap="base">
      <s-text>{shopify.i18n.translate('balance', { points: String(shown.balance) })}</s-text>
      <s-text color="subdued">
        {shopify.i18n.translate('rate', {
          points: String(shown.rate.points),
          amount: shown.rate.amount,
          currency: shown.rate.currency,
        })}
      </s-text>
      {failed && <s-banner tone="critical">{shopify.i18n.translate('failed')}</s-banner>}
      {held ? (
        <s-stack gap="base">
          <s-text>{shopify.i18n.translate('used', { points: String(held.points) })}</s-text>
          <s-button
            loading={busy}
            onClick={() =>
              attempt(async () => {
                await release(world, server, held);
                setHeld(null);
              })
            }
          >
            {shopify.i18n.translate('release')}
          </s-button>
        </s-stack>
      ) : (
        <s-stack gap="base">
          <s-text-field
            label={shopify.i18n.translate('how_many')}
            value={points}
            onInput={(event) => setPoints((event.currentTarget as HTMLInputElement).value)}
          />
          <s-button
            loading={busy}
            disabled={wanted === null}
            onClick={() =>
              attempt(async () => {
                if (wanted !== null) {
                  setHeld(await reserve(world, server, wanted, key));
                }
              })
            }
          >
            {shopify.i18n.translate('use')}
          </s-button>
        </s-stack>
      )}
    </s-stack>
  );
}
