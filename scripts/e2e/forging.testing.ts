import { createHmac, type KeyObject, sign } from 'node:crypto';

/** Tokens as nobody should make them: the libraries that the services use would refuse to. */

/** One part of a token (RFC 7515, section 3). */
export const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token with a real signature over whatever header and claims. */
export function es256(header: object, claims: object, key: KeyObject): string {
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

export function hs256(header: object, claims: object, secret: string): string {
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}
