// What the npm package @onchain-id/identity-sdk makes of an identity: one JSON line on standard output.
// node identity_sdk.js RPC_URL IDENTITY TOPIC WALLET HOLDER_KEY NEW_WALLET
"use strict";
const { Identity, utils } = require("@onchain-id/identity-sdk");
const { ethers } = require("ethers");

async function main(url, address, topic, wallet, holderKey, newWallet) {
  const provider = new ethers.providers.StaticJsonRpcProvider(url);
  const identity = await Identity.at(address, { provider });
  const key = (of) => utils.encodeAndHash(["address"], [of]);

  const claims = await identity.getClaimsByTopic(Number(topic));
  const validity = await Promise.all(claims.map((claim) => claim.verifyValidity(provider)));
  const managers = (await identity.getKeysByPurpose(utils.enums.KeyPurpose.MANAGEMENT)).map((found) => found.key);
  const walletIsManager = await identity.keyHasPurpose(key(wallet), utils.enums.KeyPurpose.MANAGEMENT);
  const unknown = await identity.getClaim("0x" + "11".repeat(32));

  const holder = await Identity.at(address, { signer: new ethers.Wallet(holderKey, provider) });
  const added = await holder.addKey(key(newWallet), utils.enums.KeyPurpose.ACTION, utils.enums.KeyType.ECDSA);
  await added.wait();
  const newKey = await identity.getKey(key(newWallet));

  return { claims, validity, managers, walletIsManager, unknown, newKey };
}

main(...process.argv.slice(2)).then(
  (found) => console.log(JSON.stringify(found)),
  (error) => { console.error(error); process.exitCode = 1; },
);
