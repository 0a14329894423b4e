import type { IncomingHttpHeaders } from 'node:http';
import { type Access, type AccessKey, noLimits } from '../core/access.ts';
import { GatewayError } from '../core/errors.ts';
import { credentialOf } from '../gateway/auth/credential.ts';
import { Keyring } from '../gateway/auth/keyring.ts';

/** Asks for the key of the admin listener, where there is one, and tells a user's key that it does not belong here. */
export class AdminKey {
  readonly #own: Keyring | undefined;
  readonly #access: () => Access;
  /** Of the users' keys as they were last looked at. */
  #users: { readonly access: Access; readonly ring: Keyring } | undefined;

  /** @param sha256 `keyDigest` of the admin key; undefined: none is asked for. @param access the users' keys now */
  constructor(sha256: string | undefined, access: () => Access) {
    this.#own = sha256 === undefined ? undefined : new Keyring([adminKey(sha256)]);
    this.#access = access;
  }

  /** @throws GatewayError `invalid_api_key`, `key_not_permitted` */
  check(headers: IncomingHttpHeaders): void {
    const presented = credentialOf(headers);
    if (presented !== '' && this.#ofUsers().find(presented).length > 0)
      throw new GatewayError('key_not_permitted', 'A key of the API opens nothing on the admin listener.');
    if (this.#own !== undefined && this.#own.find(presented).length === 0)
      throw new GatewayError('invalid_api_key', 'The admin key is required: Authorization: Bearer <key> (gateway.admin).');
  }

  #ofUsers(): Keyring {
    const access = this.#access();
    if (this.#users?.access !== access) this.#users = { access, ring: new Keyring(access.keys) };
    return this.#users.ring;
  }
}

function adminKey(sha256: string): AccessKey {
  return { name: 'admin', sha256, prefix: undefined, models: undefined, expiresAt: undefined, limits: noLimits };
}
