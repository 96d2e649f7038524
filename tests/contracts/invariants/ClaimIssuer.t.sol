// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {HostedSetup} from "../HostedSetup.sol";
import {Campaign} from "./Campaign.sol";
import {IClaimHost} from "../../../contracts/interfaces/IClaimHost.sol";
import {IClaimIssuer} from "../../../contracts/interfaces/IClaimIssuer.sol";
import {IClaimSigners} from "../../../contracts/interfaces/IClaimSigners.sol";
import {IERC734} from "../../../contracts/interfaces/IERC734.sol";
import {ClaimWord} from "../../../contracts/libraries/ClaimWord.sol";

/// @dev What is signed is kept, and asked about for ever: nothing that was revoked may come back, and each signature counts exactly as its signer's terms say.
contract ClaimIssuerHandler is HostedSetup {
    struct Signed {
        uint256 subject;
        uint256 by; // which signer
        bytes32 word;
        bytes signature;
        bool dead; // seen to be revoked, by whatever way
    }

    struct Terms {
        bool stands; // as a key
        bool suspended;
        uint32 from;
        uint32 until;
        uint16 life;
    }

    /// @dev A batch that was sent or not, and may be sent again by anybody at any time.
    struct Leave {
        uint256 by;
        uint256 subject;
        bool revoking;
        bytes32 word;
        IClaimHost.Authorization authorization;
    }

    address internal guardian = makeAddr("guardian");
    address[3] internal signers; // the last one signs the older form
    uint256[3] internal signerKeys;
    address[3] public subjects; // the last one is no identity, and cannot be hosted for

    Signed[] public ledger;
    Leave[] internal leaves;
    mapping(bytes32 signature => bool) internal marked; // revoked by themselves
    mapping(uint256 signer => Terms) public terms;
    mapping(uint256 subject => uint16) public epoch;
    mapping(uint256 subject => bytes32) public hostedWord;
    mapping(address signer => mapping(uint256 nonce => bool)) internal used;

    constructor() {
        setUp();
        (signers[0], signerKeys[0]) = (signer, signerKey);
        (signers[1], signerKeys[1]) = makeAddrAndKey("another signer");
        (signers[2], signerKeys[2]) = (legacySigner, legacyKey);
        subjects = [address(newIdentity()), makeIdentity("other holder"), makeAddr("no identity")];
        (terms[0].stands, terms[2].stands) = (true, true);
        vm.prank(manager);
        issuer.setGuardian(guardian, true);
    }

    function sign(uint256 subject, uint256 by, bool ahead, uint256 life) external {
        (subject, by) = (subject % 3, by % 3);
        uint16 named = epoch[subject] + (ahead ? 1 : 0); // one that is not yet: valid after the next revocation
        bytes32 word = wordUntil(named, life % 4 == 0 ? 0 : uint32(block.timestamp + life % 40 days));
        bytes memory signature = by == 2
            ? signLegacy(subjects[subject], TOPIC, abi.encode(word))
            : compact(signerKeys[by], issuer.claimDigest(subjects[subject], TOPIC, word));
        ledger.push(Signed(subject, by, word, signature, false));
    }

    function revoke(uint256 actor, uint256 subject, uint256 named) external {
        subject %= 3;
        address sender = pick(actor);
        bool operates = sender == operator || sender == manager;
        uint16 meant = named % 3 == 0 ? uint16(named >> 8) : epoch[subject];
        bool batch = named % 2 == 0;
        vm.prank(sender);
        (bool done,) = address(issuer)
            .call(
                batch
                    ? abi.encodeCall(IClaimIssuer.revokeBatch, (revocation(subjects[subject], TOPIC, meant)))
                    : abi.encodeCall(IClaimIssuer.revokeSubject, (subjects[subject], TOPIC))
            );
        assertEq(done, operates, "who may revoke");
        if (done && (!batch || meant == epoch[subject])) moveEpoch(subject);
    }

    /// @dev In any of its encodings.
    function revokeSignature(uint256 actor, uint256 number, uint256 encoding) external {
        if (ledger.length == 0) return;
        Signed storage signed = ledger[number % ledger.length];
        address sender = pick(actor);
        vm.prank(sender);
        (bool done,) = address(issuer)
            .call(abi.encodeCall(IClaimIssuer.revokeClaimBySignature, (encode(signed.signature, encoding))));
        assertEq(
            done, sender == manager && !marked[keccak256(signed.signature)], "who may revoke a signature, and once"
        );
        if (done) marked[keccak256(signed.signature)] = true;
    }

    function setSigner(uint256 actor, uint256 by, bool adding) external {
        by %= 3;
        address sender = pick(actor);
        bytes32 key = keyOf(signers[by]);
        vm.prank(sender);
        (bool done,) = address(issuer)
            .call(
                adding
                    ? abi.encodeCall(IERC734.addKey, (key, CLAIM, by == 2 ? ECDSA : CLAIMWRIGHT))
                    : abi.encodeCall(IERC734.removeKey, (key, CLAIM))
            );
        assertEq(done, sender == manager && terms[by].stands != adding, "who may name signers");
        if (done) delete terms[by]; // a key that comes back has no terms
        if (done) terms[by].stands = adding;
    }

    function suspend(uint256 actor, uint256 by) external {
        by %= 3;
        address sender = pick(actor);
        vm.prank(sender);
        (bool done,) = address(issuer).call(abi.encodeCall(IClaimSigners.suspendSigner, (signers[by])));
        assertEq(done, (sender == guardian || sender == manager) && terms[by].stands, "who may suspend");
        if (done) terms[by].suspended = true;
    }

    function restore(uint256 actor, uint256 by) external {
        by %= 3;
        address sender = pick(actor);
        vm.prank(sender);
        (bool done,) = address(issuer).call(abi.encodeCall(IClaimSigners.restoreSigner, (signers[by])));
        assertEq(done, sender == manager && terms[by].stands, "only a manager restores");
        if (done) terms[by].suspended = false;
    }

    function setTerms(uint256 actor, uint256 by, uint256 shape) external {
        by %= 3;
        Terms memory wanted = terms[by];
        wanted.from = shape % 3 == 0 ? uint32(block.timestamp - shape % 9 days) : 0;
        wanted.until = shape % 4 == 0 ? uint32(block.timestamp + shape % 8 days) : 0;
        wanted.life = shape % 5 == 0 ? uint16(shape % 40) : 0;
        address sender = pick(actor);
        bytes memory data =
            abi.encodeCall(IClaimSigners.setSignerTerms, (signers[by], wanted.from, wanted.until, wanted.life));
        vm.prank(sender);
        (bool done,) = address(issuer).call(data);
        assertEq(done, sender == manager && terms[by].stands, "who may set terms");
        if (done) terms[by] = wanted;
    }

    function giveLeave(uint256 subject, uint256 by, bool revoking, uint256 nonce) external {
        (subject, by) = (subject % 3, by % 2);
        Leave storage given = leaves.push();
        (given.by, given.subject, given.revoking) = (by, subject, revoking);
        given.word = wordUntil(epoch[subject], 0);
        bytes32 items = revoking
            ? keccak256(abi.encode(oneOf(subjects[subject])))
            : keccak256(abi.encode(one(subjects[subject], given.word)));
        nextNonce = nonce % 32 * 85; // few enough to meet again, in several words
        given.authorization = leave(signerKeys[by], revoking ? "RevokeHosted" : "Issue", TOPIC, items);
    }

    function send(uint256 actor, uint256 number) external {
        if (leaves.length == 0) return;
        uint256 recent = leaves.length < 4 ? leaves.length : 4;
        Leave memory given = leaves[number % 8 == 0 ? number % leaves.length : leaves.length - 1 - number % recent];
        address sender = pick(actor);
        address subject = subjects[given.subject];
        uint256 nonce = given.authorization.nonce;
        bool authorised = terms[given.by].stands && !terms[given.by].suspended && !used[signers[given.by]][nonce]
            && block.timestamp <= given.authorization.deadline;
        vm.prank(sender);
        (bool done,) = address(issuer)
            .call(
                given.revoking
                    ? abi.encodeCall(IClaimHost.revokeHosted, (TOPIC, oneOf(subject), given.authorization))
                    : abi.encodeCall(IClaimHost.issue, (TOPIC, one(subject, given.word), given.authorization))
            );
        assertEq(done, (sender == operator || sender == manager) && authorised, "a leave counts once");
        if (!done) return;
        used[signers[given.by]][nonce] = true;
        if (given.revoking) {
            moveEpoch(given.subject);
        } else if (given.subject != 2 && countsNow(given.subject, given.by, given.word)) {
            hostedWord[given.subject] = given.word;
        }
    }

    function cancel(uint256 actor, uint256 by, uint256 nonce) external {
        (by, nonce) = (by % 2, nonce % 32 * 85);
        address sender = actor % 7 == 0 ? signers[by] : pick(actor);
        vm.prank(sender);
        (bool done,) = address(issuer).call(abi.encodeCall(IClaimHost.cancelAuthorization, (signers[by], nonce)));
        bool may = sender == signers[by] || sender == guardian || sender == manager;
        assertEq(done, may && !used[signers[by]][nonce], "who may cancel, and once");
        if (done) used[signers[by]][nonce] = true;
    }

    function wait(uint256 time) external {
        vm.warp(block.timestamp + (time % 4 == 0 ? time % 5 days : time % 100)); // a leave lasts ten minutes
    }

    /// @dev Of everything that was ever signed.
    function check() external view {
        for (uint256 subject = 0; subject < 3; ++subject) {
            assertEq(issuer.epochOf(subjects[subject], TOPIC), epoch[subject], "the epoch moves by one, and on only");
            bytes32 word = hostedWord[subject];
            (, bytes32 shown) = issuer.getHosted(subjects[subject], id);
            assertEq(shown, word, "what is hosted");
            bool current = word != 0 && ClaimWord.isCurrent(word, epoch[subject], block.timestamp);
            assertEq(isValid(subjects[subject], TOPIC, "", word), current, "hosted and valid");
        }
        for (uint256 i = 0; i < ledger.length; ++i) {
            Signed memory signed = ledger[i];
            bool valid = isValid(subjects[signed.subject], TOPIC, signed.signature, signed.word);
            assertFalse(valid && signed.dead, "a revoked word never comes back");
            bool counts = countsNow(signed.subject, signed.by, signed.word) && terms[signed.by].stands;
            assertEq(valid, counts && !marked[keccak256(signed.signature)], "valid as the terms say");
            assertEq(issuer.isClaimRevoked(signed.signature), marked[keccak256(signed.signature)], "marked");
        }
        for (uint256 by = 0; by < 3; ++by) {
            (uint32 from, uint32 until, uint16 life, bool suspended) = issuer.signerTerms(signers[by]);
            Terms memory t = terms[by];
            assertEq(
                abi.encode(from, until, life, suspended), abi.encode(t.from, t.until, t.life, t.suspended), "terms"
            );
            for (uint256 nonce = 0; nonce < 32 * 85; nonce += 85) {
                assertEq(issuer.isNonceUsed(signers[by], nonce), used[signers[by]][nonce], "nonces");
            }
        }
    }

    /// @dev By the letter of IClaimSigners and of docs/contracts.md.
    function countsNow(uint256 subject, uint256 by, bytes32 word) private view returns (bool) {
        Terms memory t = terms[by];
        // The older form says nothing of its time, so that no terms can be seen to be kept, and ends with the first revocation.
        if (by == 2) return epoch[subject] == 0 && !t.suspended && t.from == 0 && t.until == 0 && t.life == 0;
        uint256 issuedAt = ClaimWord.issuedAt(word);
        uint256 end = ClaimWord.expiresAt(word);
        if (ClaimWord.epoch(word) != epoch[subject] || (end != 0 && block.timestamp >= end)) return false;
        if (t.suspended || issuedAt < t.from || (t.until != 0 && issuedAt > t.until)) return false;
        return t.life == 0 || (end != 0 && end - issuedAt <= uint256(t.life) * 1 days);
    }

    function moveEpoch(uint256 subject) private {
        for (uint256 i = 0; i < ledger.length; ++i) {
            bool over = ledger[i].by == 2 || ClaimWord.epoch(ledger[i].word) <= epoch[subject];
            if (ledger[i].subject == subject && over) ledger[i].dead = true;
        }
        ++epoch[subject];
        hostedWord[subject] = 0;
    }

    function encode(bytes memory signature, uint256 encoding) private pure returns (bytes memory) {
        (bytes32 r, bytes32 vs) = abi.decode(signature, (bytes32, bytes32));
        uint8 odd = signature.length == 65 ? uint8(signature[64]) - 27 : uint8(uint256(vs) >> 255);
        uint256 s = uint256(vs) & (type(uint256).max >> 1);
        if (encoding % 4 == 0) return signature;
        if (encoding % 4 == 1) return abi.encodePacked(r, s, 27 + odd);
        if (encoding % 4 == 2) return abi.encodePacked(r, ORDER - s, 28 - odd);
        return abi.encodePacked(r, s, odd);
    }

    function makeIdentity(string memory name) private returns (address) {
        address wallet = makeAddr(name);
        vm.prank(wallet);
        return factory.createFor(wallet, address(issuer));
    }

    function pick(uint256 seed) private view returns (address) {
        return [manager, operator, guardian, signers[1], stranger][seed % 5];
    }
}

contract ClaimIssuerInvariants is Campaign {
    ClaimIssuerHandler internal handler;

    function setUp() public {
        handler = new ClaimIssuerHandler();
        bytes4[] memory moves = new bytes4[](11);
        (moves[0], moves[1], moves[2]) =
        (handler.sign.selector, handler.revoke.selector, handler.revokeSignature.selector);
        (moves[3], moves[4], moves[5]) =
        (handler.setSigner.selector, handler.suspend.selector, handler.restore.selector);
        (moves[6], moves[7], moves[8]) = (handler.setTerms.selector, handler.giveLeave.selector, handler.send.selector);
        (moves[9], moves[10]) = (handler.cancel.selector, handler.wait.selector);
        target(address(handler), moves);
    }

    function invariant_WhatCountsIsWhatWasDone() public view {
        handler.check();
    }
}
