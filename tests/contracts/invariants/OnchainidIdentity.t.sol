// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Vm} from "forge-std/Vm.sol";
import {BaseTest} from "../Base.t.sol";
import {OnchainidSetup} from "../OnchainidSetup.sol";
import {Campaign} from "./Campaign.sol";
import {Voucher} from "./Claims.t.sol";
import {IClaimIssuer} from "../../../contracts/interfaces/IClaimIssuer.sol";
import {IERC734} from "../../../contracts/interfaces/IERC734.sol";
import {IERC735} from "../../../contracts/interfaces/IERC735.sol";
import {IIdentity} from "../../../contracts/interfaces/IIdentity.sol";

/// @dev Counts the calls of each identity, and reverts if it is asked to.
contract Counter {
    mapping(address caller => uint256) public calls;

    function count(bool fail) external payable {
        require(!fail);
        ++calls[msg.sender];
    }
}

/// @dev One identity of ours and one of ONCHAINID 2.2.1. Each move goes to both and must do the same on both, events included. Where docs/contracts.md says that we
/// differ, ours must refuse, and theirs is not asked.
contract OnchainidIdentityHandler is BaseTest, OnchainidSetup {
    enum Status {
        Pending,
        Run,
        Over // failed or rejected, which theirs would run again
    }

    IIdentity public ours;
    IIdentity public theirs;
    Counter public counter = new Counter();
    address internal actor = makeAddr("holder of an ACTION key");
    address internal helper;
    uint256 internal helperKey;
    bytes32[] public keys;
    IClaimIssuer internal theirIssuer;
    address[5] internal issuers; // the last one is the identity itself
    Status[] public requests;
    mapping(bytes32 claimId => bytes32[2]) public written; // hashes of the signatures, ours and theirs

    constructor() {
        setUp();
        (helper, helperKey) = makeAddrAndKey("holder of a CLAIM key");
        vm.prank(holder);
        ours = IIdentity(factory.createFor(holder, address(0)));
        theirs = IIdentity(deployTheirs("Identity", abi.encode(holder, false)));
        theirIssuer = IClaimIssuer(deployTheirs("ClaimIssuer", abi.encode(manager)));
        vm.prank(manager);
        theirIssuer.addKey(keyOf(legacySigner), CLAIM, ECDSA);
        issuers = [address(theirIssuer), address(new Voucher()), address(new Voucher()), stranger, address(0)];
        keys = [keyOf(holder), keyOf(actor), keyOf(helper), keyOf(operator), keccak256("no address")];
        keys.push(keyOf(stranger)); // never added: a stranger
        both(holder, abi.encodeCall(IERC734.addKey, (keyOf(actor), ACTION, ECDSA)), 0);
        both(holder, abi.encodeCall(IERC734.addKey, (keyOf(helper), CLAIM, ECDSA)), 0);
        vm.deal(address(ours), 1 ether);
        vm.deal(address(theirs), 1 ether);
    }

    function addKey(uint256 sender, uint256 key, uint256 purpose, uint256 keyType) external {
        bytes32 added = keys[key % 5];
        purpose = [uint256(1), 2, 3, 4, 127][purpose % 5];
        keyType = keyType % 4 == 0 ? 3 : ECDSA;
        bool differs = isOfOtherType(added, keyType);
        bytes memory data = abi.encodeCall(IERC734.addKey, (added, purpose, keyType));
        if (differs) return refused(pick(sender), data);
        both(pick(sender), data, 0);
    }

    /// @dev Zero keys, purposes and types out of range.
    function addBadKey(uint256 sender, uint256 kind, uint256 purpose) external {
        bytes32 key = [bytes32(0), keyOf(address(0)), keys[4]][kind % 3];
        if (kind % 3 == 2 && purpose != 0) purpose = bound(purpose, 128, type(uint256).max);
        refused(pick(sender), abi.encodeCall(IERC734.addKey, (key, purpose, ECDSA)));
        refused(pick(sender), abi.encodeCall(IERC734.addKey, (keys[4], ACTION, 65_536 + purpose % 9)));
    }

    function removeKey(uint256 sender, uint256 key, uint256 purpose) external {
        bytes32 gone = keys[key % 6];
        purpose = [uint256(1), 2, 3, 4, 127][purpose % 5];
        bytes32[] memory managers = ours.getKeysByPurpose(MANAGEMENT);
        bytes memory data = abi.encodeCall(IERC734.removeKey, (gone, purpose));
        if (purpose == MANAGEMENT && managers.length == 1 && managers[0] == gone) return refused(pick(sender), data);
        both(pick(sender), data, 0);
    }

    function addClaim(uint256 sender, uint256 from, uint256 topic, uint256 shape) external {
        (from, topic) = (from % 5, topic % 4);
        bytes memory data = new bytes([uint256(0), 32, 97, 700][shape % 4]);
        if (shape % 9 == 0) data = new bytes(2049);
        bool selfIssued = from == 4;
        bool isManager = ours.keyHasPurpose(keyOf(pick(sender)), MANAGEMENT);
        bytes memory forOurs = claimCall(address(ours), from, topic, shape, data);
        if (topic == 0 || data.length > 2048 || (selfIssued && !isManager)) return refused(pick(sender), forOurs);
        if (!both(pick(sender), forOurs, claimCall(address(theirs), from, topic, shape, data), 0)) return;
        written[idOf(issuers[from], topic)] = [
            signatureHash(address(ours), from, topic, shape, data),
            signatureHash(address(theirs), from, topic, shape, data)
        ];
    }

    function removeClaim(uint256 sender, uint256 from, uint256 topic) external {
        (from, topic) = (from % 5, topic % 4);
        both(pick(sender), removal(address(ours), from, topic), removal(address(theirs), from, topic), 0);
    }

    function vouch(uint256 from, bool yes) external {
        Voucher(issuers[1 + from % 2]).set(yes);
    }

    function execute(uint256 sender, uint256 what, uint256 value, bool paid) external {
        address from = pick(sender);
        bool itself = what % 4 == 3;
        bytes32 key = keys[(what >> 2) % 5];
        bytes memory inner = itself
            ? abi.encodeCall(IERC734.addKey, (key, 2 + (what >> 5) % 2, ECDSA))
            : abi.encodeCall(Counter.count, (what % 4 == 2));
        if (itself && isOfOtherType(key, ECDSA)) return; // see addKey
        (value, paid) = itself ? (0, false) : (value % 3, paid && value % 3 != 0);
        bool runs = ours.keyHasPurpose(keyOf(from), itself ? MANAGEMENT : ACTION);
        bool asks = runs || ours.keyHasPurpose(keyOf(from), ACTION) || ours.keyHasPurpose(keyOf(from), CLAIM);
        bytes memory forOurs =
            abi.encodeCall(IERC734.execute, (itself ? address(ours) : address(counter), value, inner));
        bytes memory forTheirs =
            abi.encodeCall(IERC734.execute, (itself ? address(theirs) : address(counter), value, inner));
        if (!asks) return refused(from, forOurs); // a stranger
        if (paid && !runs) {
            vm.deal(from, value);
            vm.prank(from);
            (bool done,) = address(ours).call{value: value}(forOurs);
            return assertFalse(done, "a request that waits brings no ether");
        }
        assertTrue(both(from, forOurs, forTheirs, paid ? value : 0));
        requests.push(runs ? outcome : Status.Pending);
    }

    function approve(uint256 sender, uint256 request, bool yes) external {
        request %= requests.length + 1; // the last one does not exist
        bytes memory data = abi.encodeCall(IERC734.approve, (request, yes));
        if (request < requests.length && requests[request] == Status.Over) return refused(pick(sender), data);
        if (yes && hasOtherTypes()) return;
        if (both(pick(sender), data, 0)) requests[request] = yes ? outcome : Status.Over;
    }

    // The views.

    function checkKeys() external view {
        for (uint256 i = 0; i < keys.length; ++i) {
            (uint256[] memory a, uint256 typeA, bytes32 keyA) = ours.getKey(keys[i]);
            (uint256[] memory b, uint256 typeB, bytes32 keyB) = theirs.getKey(keys[i]);
            assertEq(abi.encode(keyA, typeA, bitmap(a)), abi.encode(keyB, typeB, bitmap(b)), "getKey");
            assertEq(bitmap(ours.getKeyPurposes(keys[i])), bitmap(theirs.getKeyPurposes(keys[i])), "getKeyPurposes");
            assertEq(a.length, b.length);
            for (uint256 purpose = 0; purpose < 5; ++purpose) {
                assertEq(ours.keyHasPurpose(keys[i], purpose), theirs.keyHasPurpose(keys[i], purpose), "keyHasPurpose");
            }
        }
        for (uint256 purpose = 0; purpose < 6; ++purpose) {
            bytes32[] memory a = ours.getKeysByPurpose(purpose == 5 ? 127 : purpose);
            bytes32[] memory b = theirs.getKeysByPurpose(purpose == 5 ? 127 : purpose);
            assertEq(abi.encode(sorted(a)), abi.encode(sorted(b)), "getKeysByPurpose");
        }
    }

    function checkClaims() external view {
        for (uint256 topic = 0; topic < 4; ++topic) {
            for (uint256 from = 0; from < 5; ++from) {
                checkClaim(from, topic);
            }
            bytes32[] memory a = ours.getClaimIdsByTopic(topic);
            bytes32[] memory b = theirs.getClaimIdsByTopic(topic);
            for (uint256 i = 0; i < b.length; ++i) {
                if (b[i] == idOf(address(theirs), topic)) b[i] = idOf(address(ours), topic);
            }
            assertEq(abi.encode(a), abi.encode(b), "getClaimIdsByTopic, in order");
        }
    }

    /// @dev What they say as issuers themselves, of the same signature; a key of another type than 1 does not sign this form here.
    function checkSignatures(uint256 topic) external view {
        bytes32 digest = legacyDigest(stranger, topic, "data");
        bytes memory signature = full(helperKey, digest);
        bool valid = theirs.isClaimValid(stranger, topic, signature, "data");
        assertEq(ours.isClaimValid(stranger, topic, signature, "data"), valid && !isOfOtherType(keyOf(helper), ECDSA));
        assertEq(ours.getRecoveredAddress(signature, digest), theirs.getRecoveredAddress(signature, digest));
        bytes memory bent = abi.encodePacked(signature, uint8(topic));
        assertEq(ours.isClaimValid(stranger, topic, bent, "data"), theirs.isClaimValid(stranger, topic, bent, "data"));
        assertEq(ours.getRecoveredAddress(bent, digest), theirs.getRecoveredAddress(bent, digest));
    }

    function checkCalls() external view {
        assertEq(counter.calls(address(ours)), counter.calls(address(theirs)), "calls");
        assertEq(address(ours).balance, address(theirs).balance, "ether");
    }

    function checkClaim(uint256 from, uint256 topic) private view {
        (address a, address b) = from == 4 ? (address(ours), address(theirs)) : (issuers[from], issuers[from]);
        IERC735.Claim memory one = read(ours, idOf(a, topic));
        IERC735.Claim memory two = read(theirs, idOf(b, topic));
        if (one.topic != 0) {
            bytes32[2] memory hashes = written[idOf(issuers[from], topic)];
            assertEq(one.issuer, a);
            assertEq(keccak256(one.signature), hashes[0], "signature");
            assertEq(keccak256(two.signature), hashes[1]);
            (one.issuer, one.signature, two.signature) = (b, "", "");
        }
        assertEq(abi.encode(one), abi.encode(two), "getClaim");
    }

    // Sending to both.

    Status internal outcome; // of the last call that ran

    function both(address sender, bytes memory data, uint256 value) private returns (bool) {
        return both(sender, data, data, value);
    }

    function both(address sender, bytes memory forOurs, bytes memory forTheirs, uint256 value) private returns (bool) {
        vm.deal(sender, 2 * value);
        vm.startPrank(sender);
        vm.recordLogs();
        (bool one, bytes memory answer) = address(ours).call{value: value}(forOurs);
        Vm.Log[] memory first = vm.getRecordedLogs();
        vm.recordLogs();
        (bool two, bytes memory theirAnswer) = address(theirs).call{value: value}(forTheirs);
        Vm.Log[] memory second = vm.getRecordedLogs();
        vm.stopPrank();
        assertEq(one, two, "both take it or neither does");
        bool rejection = bytes4(forOurs) == IERC734.approve.selector && forOurs[67] == 0; // true here, false there
        bool own = bytes4(forOurs) == IERC735.addClaim.selector && keccak256(answer) == keccak256(ownId(forOurs));
        if (one && !rejection && !own) assertEq(answer, theirAnswer, "the same answer");
        assertEq(first.length, second.length, "as many events");
        for (uint256 i = 0; i < first.length; ++i) {
            assertEq(first[i].topics[0], second[i].topics[0], "the same events");
            if (first[i].topics[0] == IERC734.Executed.selector) outcome = Status.Run;
            if (first[i].topics[0] == IERC734.ExecutionFailed.selector) outcome = Status.Over;
        }
        return one;
    }

    function refused(address sender, bytes memory data) private {
        vm.prank(sender);
        (bool done,) = address(ours).call(data);
        assertFalse(done, "ours refuses");
    }

    /// @dev A waiting request may add a key that has got another type in the meantime: see addKey.
    function hasOtherTypes() private view returns (bool found) {
        for (uint256 i = 0; i < 5; ++i) {
            found = found || isOfOtherType(keys[i], ECDSA);
        }
    }

    function isOfOtherType(bytes32 key, uint256 keyType) private view returns (bool) {
        (uint256[] memory purposes, uint256 has,) = ours.getKey(key);
        return purposes.length != 0 && has != keyType;
    }

    function ownId(bytes memory data) private view returns (bytes memory) {
        uint256 topic;
        assembly {
            topic := mload(add(data, 0x24))
        }
        return abi.encode(idOf(address(ours), topic));
    }

    function claimCall(address identity, uint256 from, uint256 topic, uint256 shape, bytes memory data)
        private
        view
        returns (bytes memory)
    {
        bytes memory signature = signatureFor(identity, from, topic, shape, data);
        string memory uri = shape % 2 == 0 ? "" : "ipfs://somewhere";
        address issuer_ = from == 4 ? identity : issuers[from];
        return abi.encodeCall(IERC735.addClaim, (topic, shape % 400, issuer_, signature, data, uri));
    }

    function signatureFor(address identity, uint256 from, uint256 topic, uint256 shape, bytes memory data)
        private
        view
        returns (bytes memory)
    {
        if (from == 0) return signLegacy(identity, shape % 7 == 0 ? topic + 1 : topic, data);
        return [bytes(""), new bytes(65), full(helperKey, bytes32(shape)), new bytes(130)][shape % 4];
    }

    function signatureHash(address identity, uint256 from, uint256 topic, uint256 shape, bytes memory data)
        private
        view
        returns (bytes32)
    {
        return keccak256(signatureFor(identity, from, topic, shape, data));
    }

    function removal(address identity, uint256 from, uint256 topic) private view returns (bytes memory) {
        return abi.encodeCall(IERC735.removeClaim, (idOf(from == 4 ? identity : issuers[from], topic)));
    }

    function read(IIdentity identity, bytes32 claimId) private view returns (IERC735.Claim memory claim) {
        (claim.topic, claim.scheme, claim.issuer, claim.signature, claim.data, claim.uri) = identity.getClaim(claimId);
    }

    function pick(uint256 seed) private view returns (address) {
        return [holder, holder, actor, helper, operator, stranger][seed % 6];
    }

    function bitmap(uint256[] memory purposes) private pure returns (uint256 map) {
        for (uint256 i = 0; i < purposes.length; ++i) {
            map |= 1 << purposes[i];
        }
    }

    function sorted(bytes32[] memory list) private pure returns (bytes32[] memory) {
        for (uint256 i = 1; i < list.length; ++i) {
            for (uint256 j = i; j > 0 && list[j] < list[j - 1]; --j) {
                (list[j], list[j - 1]) = (list[j - 1], list[j]);
            }
        }
        return list;
    }
}

contract OnchainidIdentityInvariants is Campaign {
    OnchainidIdentityHandler internal handler;

    function setUp() public {
        handler = new OnchainidIdentityHandler();
        bytes4[] memory moves = new bytes4[](8);
        (moves[0], moves[1]) = (handler.addKey.selector, handler.addBadKey.selector);
        (moves[2], moves[3]) = (handler.removeKey.selector, handler.addClaim.selector);
        (moves[4], moves[5]) = (handler.removeClaim.selector, handler.vouch.selector);
        (moves[6], moves[7]) = (handler.execute.selector, handler.approve.selector);
        target(address(handler), moves);
    }

    function invariant_EveryViewAgrees() public view {
        handler.checkKeys();
        handler.checkClaims();
        handler.checkSignatures(1);
        handler.checkCalls();
    }
}
