// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {HostedSetup} from "../HostedSetup.sol";
import {Campaign} from "./Campaign.sol";
import {IClaimHost} from "../../../contracts/interfaces/IClaimHost.sol";
import {IERC735} from "../../../contracts/interfaces/IERC735.sol";
import {IIdentity} from "../../../contracts/interfaces/IIdentity.sol";
import {ClaimWord} from "../../../contracts/libraries/ClaimWord.sol";

/// @dev An issuer that says yes to everything, or no.
contract Voucher {
    bool public vouches = true;

    function set(bool yes) external {
        vouches = yes;
    }

    function isClaimValid(address, uint256, bytes calldata, bytes calldata) external view returns (bool) {
        return vouches;
    }
}

/// @dev Claims of four issuers on three topics of one identity: our issuer, which is its adder and also hosts; two others; and the identity itself.
contract ClaimsHandler is HostedSetup {
    uint256 public constant OURS = 0;
    uint256 public constant SELF = 3;

    IIdentity public identity;
    address[4] public issuers;
    uint256[3] public claimTopics = [TOPIC, TOPIC + 1, 1 << 200];
    address internal helper = makeAddr("holder of a CLAIM key");

    // What must be there, of each issuer and topic; the last three are of ours.
    mapping(uint256 issuer => mapping(uint256 topic => bytes32)) public standing; // the hash of the claim as it was written
    mapping(uint256 topic => bool) public removed; // by the holder
    mapping(uint256 topic => bytes32) public hostedWord;
    mapping(uint256 topic => uint16) public epoch;
    bool public muted;

    constructor() {
        setUp();
        identity = newIdentity();
        vm.prank(holder);
        identity.addKey(keyOf(helper), CLAIM, ECDSA);
        issuers = [address(issuer), address(new Voucher()), address(new Voucher()), address(identity)];
    }

    function write(uint256 actor, uint256 from, uint256 topic, uint256 shape, bool stale) external {
        (from, topic) = (from % 4, topic % 3);
        address sender = pickActor(actor);
        IERC735.Claim memory claim = makeClaim(from, topic, shape, stale);
        bool mayWrite = mayChange(sender, from) && !(sender == address(issuer) && removed[topic]);
        bool vouchedFor = from == SELF
            ? sender == holder
            : from == OURS ? !stale && shape % 5 != 4 : Voucher(issuers[from]).vouches();
        bool fits = claim.data.length <= 2048;
        vm.prank(sender);
        (bool done,) = address(identity)
            .call(
                abi.encodeCall(
                    IERC735.addClaim, (claim.topic, claim.scheme, claim.issuer, claim.signature, claim.data, claim.uri)
                )
            );
        assertEq(done, mayWrite && vouchedFor && fits, "who may write what");
        if (!done) return;
        standing[from][topic] = keccak256(abi.encode(claim));
        if (from == OURS) removed[topic] = false;
    }

    function remove(uint256 actor, uint256 from, uint256 topic) external {
        (from, topic) = (from % 4, topic % 3);
        address sender = pickActor(actor);
        bool there = standing[from][topic] != 0 || (from == OURS && !removed[topic] && hostedWord[topic] != 0);
        vm.prank(sender);
        (bool done,) =
            address(identity).call(abi.encodeCall(IERC735.removeClaim, (idOf(issuers[from], claimTopics[topic]))));
        assertEq(done, there && mayChange(sender, from), "who may remove what");
        if (!done) return;
        standing[from][topic] = 0;
        if (from == OURS && sender != address(issuer)) removed[topic] = true;
    }

    function takeBack(uint256 from, uint256 topic) external {
        (from, topic) = (from % 4, topic % 3);
        vm.prank(issuers[from]);
        (bool done,) = address(identity).call(abi.encodeCall(IIdentity.removeClaimAsIssuer, (claimTopics[topic])));
        assertEq(done, standing[from][topic] != 0 && !(from == OURS && muted), "an issuer takes back its own");
        if (done) standing[from][topic] = 0;
    }

    function allow(uint256 actor, uint256 topic) external {
        address sender = pickActor(actor);
        topic %= 3;
        vm.prank(sender);
        (bool done,) =
            address(identity).call(abi.encodeCall(IIdentity.allowClaim, (idOf(address(issuer), claimTopics[topic]))));
        assertEq(done, sender == holder || sender == helper, "who may allow again");
        if (done) removed[topic] = false;
    }

    function mute(uint256 actor, bool yes) external {
        address sender = pickActor(actor);
        vm.prank(sender);
        (bool done,) = address(identity).call(abi.encodeCall(IIdentity.setAdderMuted, (yes)));
        assertEq(done, sender == holder, "who may mute");
        if (done) muted = yes;
    }

    function host(uint256 topic, bool stale, bool ends) external {
        topic %= 3;
        bytes32 word = wordUntil(epoch[topic] + (stale ? 1 : 0), ends ? uint32(block.timestamp + 1 days) : 0);
        IClaimHost.Hosted[] memory items = one(address(identity), word);
        bytes32 hash = keccak256(abi.encode(items));
        IClaimHost.Authorization memory authorization = leave(signerKey, "Issue", claimTopics[topic], hash);
        vm.prank(operator);
        issuer.issue(claimTopics[topic], items, authorization);
        if (!stale && !muted && !removed[topic]) hostedWord[topic] = word;
    }

    function revoke(uint256 topic, uint256 way) external {
        topic %= 3;
        address[] memory subjects = oneOf(address(identity));
        bytes32 hash = keccak256(abi.encode(subjects));
        IClaimHost.Authorization memory authorization = leave(signerKey, "RevokeHosted", claimTopics[topic], hash);
        vm.startPrank(operator);
        if (way % 3 == 0) issuer.revokeSubject(address(identity), claimTopics[topic]);
        if (way % 3 == 1) issuer.revokeHosted(claimTopics[topic], subjects, authorization);
        if (way % 3 == 2) issuer.revokeBatch(revocation(address(identity), claimTopics[topic], epoch[topic]));
        vm.stopPrank();
        ++epoch[topic];
        hostedWord[topic] = 0;
    }

    function vouch(uint256 from, bool yes) external {
        Voucher(issuers[1 + from % 2]).set(yes);
    }

    function wait(uint256 time) external {
        vm.warp(block.timestamp + time % 2 days);
    }

    /// @dev The adder changes what is its own unless it is muted; keys of the holder change everything.
    function mayChange(address sender, uint256 from) private view returns (bool) {
        if (sender == address(issuer)) return from == OURS && !muted;
        return sender == holder || sender == helper;
    }

    function pickActor(uint256 seed) private view returns (address) {
        return [holder, helper, address(issuer), stranger, issuers[1]][seed % 5];
    }

    /// @dev All shapes that are kept differently: nothing, a word, some words, code, too long; narrow and wide; short, compact, full and long signatures.
    function makeClaim(uint256 from, uint256 topic, uint256 shape, bool stale)
        private
        view
        returns (IERC735.Claim memory claim)
    {
        claim.topic = claimTopics[topic];
        claim.issuer = issuers[from];
        claim.scheme = [uint256(1), 3, 256, type(uint256).max][shape % 4];
        claim.uri = shape % 3 == 0 ? "" : shape % 3 == 1 ? "ipfs://short" : string(new bytes(300));
        if (from == OURS) {
            bytes32 word = wordUntil(epoch[topic] + (stale ? 1 : 0), 0);
            claim.data = shape % 5 == 4 ? bytes("no word") : abi.encode(word);
            claim.signature = signWord(address(identity), claim.topic, word);
        } else {
            claim.data = new bytes([uint256(0), 32, 97, 2048, 2049][shape % 5]);
            bytes32 digest = bytes32(shape);
            claim.signature = [
                bytes(""), compact(holderKey, digest), full(holderKey, digest), new bytes(65), new bytes(200)
            ][(shape / 5) % 5];
        }
    }

    // What must be seen.

    function isHostedShown(uint256 topic) public view returns (bool) {
        return standing[OURS][topic] == 0 && !removed[topic] && !muted && hostedWord[topic] != 0;
    }

    function check(uint256 topic) external view {
        bytes32[] memory ids = identity.getClaimIdsByTopic(claimTopics[topic]);
        uint256 shown = 0;
        for (uint256 from = 0; from < 4; ++from) {
            bool hosted = from == OURS && isHostedShown(topic);
            IERC735.Claim memory claim = read(idOf(issuers[from], claimTopics[topic]));
            if (!hosted && standing[from][topic] == 0) {
                assertEq(keccak256(abi.encode(claim)), keccak256(abi.encode(empty())), "nothing is shown as nothing");
                continue;
            }
            ++shown;
            assertEq(claim.topic, claimTopics[topic], "the topic is that of the id");
            assertEq(claim.issuer, issuers[from], "the issuer is that of the id");
            if (hosted) assertEq(claim.data, abi.encode(hostedWord[topic]), "the word that is hosted");
            else assertEq(keccak256(abi.encode(claim)), standing[from][topic], "what was written is what is read");
            if (from == OURS) checkValid(topic, claim);
        }
        assertEq(ids.length, shown, "as many ids as claims");
        for (uint256 i = 0; i < ids.length; ++i) {
            IERC735.Claim memory claim = read(ids[i]);
            assertEq(claim.topic, claimTopics[topic]);
            assertEq(ids[i], idOf(claim.issuer, claim.topic));
            for (uint256 j = 0; j < i; ++j) {
                assertNotEq(ids[i], ids[j], "each id once");
            }
        }
    }

    function checkValid(uint256 topic, IERC735.Claim memory claim) private view {
        bytes32 word = bytes32(claim.data);
        bool current = ClaimWord.isCurrent(word, epoch[topic], block.timestamp);
        bool valid = issuer.isClaimValid(address(identity), claim.topic, claim.signature, claim.data);
        assertEq(valid, current, "valid while it is current");
        assertEq(registry.isVerified(holder, claim.topic), current && topic == 0, "and verified if trusted");
    }

    function read(bytes32 claimId) private view returns (IERC735.Claim memory claim) {
        (claim.topic, claim.scheme, claim.issuer, claim.signature, claim.data, claim.uri) = identity.getClaim(claimId);
    }

    function empty() private pure returns (IERC735.Claim memory claim) {}
}

contract ClaimsInvariants is Campaign {
    ClaimsHandler internal handler;

    function setUp() public {
        handler = new ClaimsHandler();
        bytes4[] memory moves = new bytes4[](9);
        (moves[0], moves[1], moves[2]) = (handler.write.selector, handler.remove.selector, handler.takeBack.selector);
        (moves[3], moves[4], moves[5]) = (handler.allow.selector, handler.mute.selector, handler.host.selector);
        (moves[6], moves[7], moves[8]) = (handler.revoke.selector, handler.vouch.selector, handler.wait.selector);
        target(address(handler), moves);
    }

    function invariant_ClaimsAreWhatWasDone() public view {
        for (uint256 topic = 0; topic < 3; ++topic) {
            handler.check(topic);
        }
    }
}
