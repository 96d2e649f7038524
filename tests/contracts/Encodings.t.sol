// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {HostedSetup} from "./HostedSetup.sol";
import {IClaimHost} from "../../contracts/interfaces/IClaimHost.sol";
import {IConsent} from "../../contracts/interfaces/IConsent.sol";
import {IERC735} from "../../contracts/interfaces/IERC735.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";

/// @dev One signature has one encoding that counts. A variant is the same r and s in another dress, or the right bytes with some changed, cut or added.
contract EncodingsTest is HostedSetup {
    address internal subject = makeAddr("subject");

    struct Rsv {
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    function signed(uint256 key, bytes32 digest) private pure returns (Rsv memory rsv) {
        (rsv.v, rsv.r, rsv.s) = vm.sign(key, digest);
    }

    function variant(Rsv memory rsv, uint256 kind, uint256 where, bytes calldata noise)
        private
        pure
        returns (bytes memory)
    {
        bytes32 high = bytes32(ORDER - uint256(rsv.s));
        uint8 odd = rsv.v - 27;
        bytes memory both = abi.encodePacked(rsv.r, (uint256(odd) << 255) | uint256(rsv.s));
        kind %= 12;
        if (kind == 0) return both;
        if (kind == 1) return abi.encodePacked(rsv.r, rsv.s, rsv.v);
        if (kind == 2) return abi.encodePacked(rsv.r, high, uint8(28 - odd));
        if (kind == 3) return abi.encodePacked(rsv.r, rsv.s, odd);
        if (kind == 4) return abi.encodePacked(rsv.r, high, uint8(1 - odd));
        if (kind == 5) return abi.encodePacked(rsv.r, (uint256(1 - odd) << 255) | uint256(high));
        if (kind == 6) return abi.encodePacked(rsv.r, high);
        if (kind == 7) return abi.encodePacked(rsv.r, rsv.s, uint8(where)); // any v
        if (kind == 8) return abi.encodePacked(rsv.r, rsv.s, uint256(rsv.v)); // as abi.encode would
        if (kind == 9) return abi.encodePacked(both, noise);
        if (kind == 10) return abi.encodePacked(rsv.r, rsv.s, rsv.v, noise);
        bytes memory bent = where % 2 == 0 ? both : abi.encodePacked(rsv.r, rsv.s, rsv.v);
        for (uint256 i = 0; i < noise.length && i < 4; ++i) {
            bent[(where >> (8 * i)) % bent.length] ^= noise[i];
        }
        return bent;
    }

    function testFuzz_ASignedWordHasOne(uint256 kind, uint256 where, bytes calldata noise) public view {
        bytes32 word = wordOf(0);
        bytes32 digest = issuer.claimDigest(subject, TOPIC, word);
        bytes memory given = variant(signed(signerKey, digest), kind, where, noise);
        bool canonical = keccak256(given) == keccak256(compact(signerKey, digest));
        assertEq(isValid(subject, TOPIC, given, word), canonical);
    }

    function testFuzz_ALegacyClaimHasOne(uint256 kind, uint256 where, bytes calldata noise) public view {
        bytes32 digest = legacyDigest(subject, TOPIC, "data");
        bytes memory given = variant(signed(legacyKey, digest), kind, where, noise);
        bool canonical = keccak256(given) == keccak256(full(legacyKey, digest));
        assertEq(issuer.isClaimValid(subject, TOPIC, given, "data"), canonical);
        address recovered = issuer.getRecoveredAddress(given, digest);
        assertEq(recovered == legacySigner, canonical);
    }

    function testFuzz_ALeaveHasOne(uint256 kind, uint256 where, bytes calldata noise) public {
        IIdentity identity = newIdentity();
        bytes32 word = wordUntil(0, 0);
        bytes32 items = keccak256(abi.encode(one(address(identity), word)));
        bytes32 digest = batchDigest(address(issuer), "Issue", TOPIC, items, 0, NOW);
        bytes memory given = variant(signed(signerKey, digest), kind, where, noise);
        bool canonical = keccak256(given) == keccak256(compact(signerKey, digest));
        IClaimHost.Authorization memory authorization = IClaimHost.Authorization(0, NOW, given);
        vm.prank(operator);
        (bool done, bytes memory answer) =
            address(issuer).call(abi.encodeCall(IClaimHost.issue, (TOPIC, one(address(identity), word), authorization)));
        assertEq(done, canonical);
        if (!done) assertEq(bytes4(answer), IClaimHost.NotAuthorized.selector);
        assertEq(isValid(address(identity), TOPIC, "", word), canonical);
    }

    /// @dev Consent may come in either length, as wallets give either; whichever comes uses the nonce up for both.
    function testFuzz_ConsentHasOneOfEachLength(uint256 kind, uint256 where, bytes calldata noise) public {
        IIdentity identity = newIdentity();
        IConsent consenting = IConsent(address(identity));
        IERC735.Claim memory claim = IERC735.Claim(TOPIC, 1, address(identity), "", "", "");
        vm.prank(holder);
        identity.addKey(keyOf(address(this)), MANAGEMENT, ECDSA); // a claim of its own needs a manager as the sender
        bytes32 digest = consentDigest(address(identity), claim, 9);
        bytes memory given = variant(signed(holderKey, digest), kind, where, noise);
        bool canonical = keccak256(given) == keccak256(compact(holderKey, digest))
            || keccak256(given) == keccak256(full(holderKey, digest));
        (bool done,) = address(identity).call(abi.encodeCall(IConsent.addClaimBySig, (claim, 9, NOW, given)));
        assertEq(done, canonical);
        assertEq(consenting.isConsentUsed(9), canonical);
        if (!done) return;
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory again = i == 0 ? compact(holderKey, digest) : full(holderKey, digest);
            vm.expectRevert(abi.encodeWithSelector(IConsent.ConsentUsed.selector, 9));
            consenting.addClaimBySig(claim, 9, NOW, again);
        }
    }

    /// @dev A revocation by signature, in whatever dress, ends the one that counts, and no other. 64 bytes have no room for a high s.
    function testFuzz_ARevokedSignatureIsRevokedInEveryDress(uint256 kind, uint256 other, uint8 first) public {
        bytes32 word = wordOf(0);
        bytes32 digest = issuer.claimDigest(subject, TOPIC, word);
        Rsv memory rsv = signed(signerKey, digest);
        bytes memory given = variant(rsv, kind % 5, 0, msg.data[:0]);
        vm.prank(manager);
        issuer.revokeClaimBySignature(given);
        assertTrue(issuer.isClaimRevoked(variant(rsv, other % 5, 0, msg.data[:0])));
        assertFalse(isValid(subject, TOPIC, compact(signerKey, digest), word));
        bytes32 neighbour = issuer.claimDigest(subject, uint256(first) + TOPIC + 1, word);
        assertFalse(issuer.isClaimRevoked(compact(signerKey, neighbour)));
    }

    function consentDigest(address identity, IERC735.Claim memory claim, uint256 nonce) private view returns (bytes32) {
        bytes32 kind = keccak256(
            "AddClaim(uint256 topic,uint256 scheme,address issuer,bytes signature,bytes data,string uri,uint256 nonce,uint256 deadline)"
        );
        bytes32 none = keccak256("");
        bytes32 content =
            keccak256(abi.encode(kind, claim.topic, claim.scheme, claim.issuer, none, none, none, nonce, uint256(NOW)));
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Claimwright Identity"),
                keccak256("1"),
                block.chainid,
                identity
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, content));
    }
}
