// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {HostedSetup} from "./HostedSetup.sol";
import {Voucher} from "./invariants/Claims.t.sol";
import {IBatchExecutor} from "../../contracts/interfaces/IBatchExecutor.sol";
import {IClaimHost} from "../../contracts/interfaces/IClaimHost.sol";
import {IClaimIssuer} from "../../contracts/interfaces/IClaimIssuer.sol";
import {IClaimIssuerRegistry} from "../../contracts/interfaces/IClaimIssuerRegistry.sol";
import {IClaimSigners} from "../../contracts/interfaces/IClaimSigners.sol";
import {IConsent} from "../../contracts/interfaces/IConsent.sol";
import {IERC734} from "../../contracts/interfaces/IERC734.sol";
import {IERC735} from "../../contracts/interfaces/IERC735.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";
import {IIdFactory} from "../../contracts/interfaces/IIdFactory.sol";
import {IIdentityFactory} from "../../contracts/interfaces/IIdentityFactory.sol";

/// @dev Every view of every contract, at its fullest: 50 issuers on a topic, three fields of 2,048 bytes, 100 further wallets.
contract ViewsTest is HostedSetup {
    uint256 private constant ENOUGH = 1_000_000;
    uint256 private constant FIELD = 2048;

    struct Question {
        address to;
        bytes data;
    }

    IIdentity internal identity;
    bytes32 internal longId;

    function setUp() public override {
        super.setUp();
        identity = newIdentity();
        longId = idOf(address(identity), TOPIC);
        vm.startPrank(holder);
        for (uint256 i = 0; i < 49; ++i) {
            identity.addClaim(TOPIC, 1, address(new Voucher()), "", "", "");
        }
        identity.addClaim(TOPIC, 1, address(identity), new bytes(FIELD), new bytes(FIELD), string(new bytes(FIELD)));
        for (uint256 i = 1; i < 60; ++i) {
            identity.addKey(keccak256(abi.encode("key", i)), 1 + i % 3, ECDSA);
        }
        vm.stopPrank();
        issue(identity, wordUntil(0, 0));
        for (uint256 i = 0; i < 100; ++i) {
            address wallet = address(uint160(0xBEEF00 + i));
            vm.prank(holder);
            factory.proposeLink(wallet);
            vm.prank(wallet);
            factory.acceptLink(address(identity));
        }
    }

    /// @dev Whatever is asked, by whomever: an answer, the same for everybody, for a bounded price; bytes that follow the arguments change nothing.
    function testFuzz_NoViewReverts(
        bytes32 word,
        uint256 number,
        address who,
        bytes calldata some,
        bytes calldata other,
        address caller
    ) public {
        bytes memory a = number % 2 == 0 ? some[:some.length < FIELD ? some.length : FIELD] : stretched(some);
        bytes memory b = other[:other.length < FIELD ? other.length : FIELD];
        if (number % 3 == 0) (word, number) = (longId, TOPIC);
        if (number % 5 == 0) who = address(identity);
        Question[] memory all = questions(word, number, who, a, b);
        for (uint256 i = 0; i < all.length; ++i) {
            bytes memory answer = ask(all[i].to, all[i].data);
            vm.prank(caller, caller);
            assertEq(ask(all[i].to, abi.encodePacked(all[i].data, some)), answer, "the same for everybody");
        }
    }

    /// @dev Bytes that are no encoding at all: the answer of a decoder is an empty revert, never a panic, and never dear.
    function testFuzz_RawCalldata(bytes calldata tail) public view {
        Question[] memory all = questions(0, 0, address(0), "", "");
        for (uint256 i = 0; i < all.length; ++i) {
            uint256 before = gasleft();
            (bool done, bytes memory answer) = all[i].to.staticcall(abi.encodePacked(bytes4(all[i].data), tail));
            assertLt(before - gasleft(), ENOUGH);
            if (!done) assertTrue(answer.length == 0 || isNotTrusted(answer), "no panic, no error of another kind");
        }
    }

    /// @dev A stranger's bytes to any function that writes: refused, or nothing happened.
    function testFuzz_RawCalldataOfAStrangerDoesNothing(bytes calldata tail, address sender) public {
        vm.assume(sender != holder && sender != address(issuer) && sender != address(identity));
        bytes4[14] memory writing = [
            IERC734.addKey.selector,
            IERC734.removeKey.selector,
            IERC734.execute.selector,
            IBatchExecutor.executeBatch.selector,
            IERC734.approve.selector,
            IERC735.addClaim.selector,
            IERC735.removeClaim.selector,
            IIdentity.addClaims.selector,
            IIdentity.setAdderMuted.selector,
            IIdentity.allowClaim.selector,
            IIdentity.removeClaimAsIssuer.selector,
            IIdentity.hostedWordChanged.selector,
            IConsent.addClaimBySig.selector,
            IConsent.cancelConsent.selector
        ];
        vm.recordLogs();
        for (uint256 i = 0; i < writing.length; ++i) {
            vm.prank(sender);
            (bool done,) = address(identity).call(abi.encodePacked(writing[i], tail));
            bool empty =
                writing[i] == IBatchExecutor.executeBatch.selector || writing[i] == IIdentity.addClaims.selector;
            assertTrue(!done || empty, "refused");
        }
        assertEq(vm.getRecordedLogs().length, 0, "nothing happened");
    }

    /// @dev getTrustedIssuerClaimTopics reverts for an issuer that is not trusted, as T-REX's does; everything else answers.
    function isNotTrusted(bytes memory answer) private pure returns (bool) {
        return bytes4(answer) == IClaimIssuerRegistry.IssuerNotTrusted.selector;
    }

    function ask(address to, bytes memory data) private view returns (bytes memory answer) {
        bool done;
        uint256 before = gasleft();
        (done, answer) = to.staticcall{gas: ENOUGH}(data);
        assertLt(before - gasleft(), ENOUGH, "bounded gas");
        assertTrue(done, "no revert");
    }

    function stretched(bytes calldata some) private pure returns (bytes memory long) {
        long = new bytes(FIELD);
        for (uint256 i = 0; i < FIELD && some.length != 0; i += 97) {
            long[i] = some[i % some.length];
        }
    }

    function questions(bytes32 word, uint256 number, address who, bytes memory a, bytes memory b)
        private
        view
        returns (Question[] memory all)
    {
        all = new Question[](63);
        uint256 count = ofIdentity(all, 0, address(identity), word, number, who, a, b);
        count = ofIdentity(all, count, address(issuer), word, number, who, a, b);
        count = ofIdentity(all, count, factory.implementation(), word, number, who, a, b);
        address to = address(identity);
        all[count++] = Question(to, abi.encodeCall(IERC1271.isValidSignature, (word, a)));
        all[count++] = Question(to, abi.encodeCall(IConsent.isConsentUsed, (number)));
        count = ofIssuer(all, count, word, number, who, a);
        count = ofFactory(all, count, who, a);
        count = ofRegistry(all, count, number, who);
        assembly ("memory-safe") {
            mstore(all, count)
        }
    }

    function ofIdentity(
        Question[] memory all,
        uint256 count,
        address to,
        bytes32 word,
        uint256 number,
        address who,
        bytes memory a,
        bytes memory b
    ) private pure returns (uint256) {
        all[count++] = Question(to, abi.encodeCall(IERC735.getClaim, (word)));
        all[count++] = Question(to, abi.encodeCall(IERC735.getClaimIdsByTopic, (number)));
        all[count++] = Question(to, abi.encodeCall(IIdentity.isClaimValid, (who, number, a, b)));
        all[count++] = Question(to, abi.encodeCall(IERC734.keyHasPurpose, (word, number)));
        all[count++] = Question(to, abi.encodeCall(IERC734.getKey, (word)));
        all[count++] = Question(to, abi.encodeCall(IERC734.getKeyPurposes, (word)));
        all[count++] = Question(to, abi.encodeCall(IERC734.getKeysByPurpose, (number)));
        all[count++] = Question(to, abi.encodeCall(IIdentity.getRecoveredAddress, (a, word)));
        all[count++] = Question(to, abi.encodeCall(IERC165.supportsInterface, (bytes4(word))));
        all[count++] = Question(to, abi.encodeCall(IIdentity.adder, ()));
        all[count++] = Question(to, abi.encodeCall(IERC5267.eip712Domain, ()));
        return count;
    }

    function ofIssuer(Question[] memory all, uint256 count, bytes32 word, uint256 number, address who, bytes memory a)
        private
        view
        returns (uint256)
    {
        address to = address(issuer);
        all[count++] = Question(to, abi.encodeCall(IIdentity.isClaimValid, (who, number, a, abi.encode(word))));
        all[count++] = Question(to, abi.encodeCall(IIdentity.isClaimValid, (who, number, "", abi.encode(word))));
        all[count++] = Question(to, abi.encodeCall(IClaimHost.getHosted, (who, word)));
        all[count++] = Question(to, abi.encodeCall(IClaimHost.getHosted, (who, id)));
        all[count++] = Question(to, abi.encodeCall(IClaimHost.isNonceUsed, (who, number)));
        all[count++] = Question(to, abi.encodeCall(IClaimIssuer.epochOf, (who, number)));
        all[count++] = Question(to, abi.encodeCall(IClaimIssuer.isClaimRevoked, (a)));
        all[count++] = Question(to, abi.encodeCall(IClaimIssuer.revokedClaims, (a)));
        all[count++] = Question(to, abi.encodeCall(IClaimIssuer.claimDigest, (who, number, word)));
        all[count++] = Question(to, abi.encodeCall(IClaimIssuer.isOperator, (who)));
        all[count++] = Question(to, abi.encodeCall(IClaimSigners.signerTerms, (who)));
        return count;
    }

    function ofFactory(Question[] memory all, uint256 count, address who, bytes memory a)
        private
        view
        returns (uint256)
    {
        address to = address(factory);
        all[count++] = Question(to, abi.encodeCall(IIdFactory.getIdentity, (who)));
        all[count++] = Question(to, abi.encodeCall(IIdFactory.getWallets, (who)));
        all[count++] = Question(to, abi.encodeCall(IIdFactory.getToken, (who)));
        all[count++] = Question(to, abi.encodeCall(IIdFactory.isSaltTaken, (string(a))));
        all[count++] = Question(to, abi.encodeCall(IIdentityFactory.isIdentity, (who)));
        all[count++] = Question(to, abi.encodeCall(IIdentityFactory.isFirstWallet, (who)));
        all[count++] = Question(to, abi.encodeCall(IIdentityFactory.linkedAt, (who)));
        all[count++] = Question(to, abi.encodeCall(IIdentityFactory.predict, (who, who)));
        return count;
    }

    function ofRegistry(Question[] memory all, uint256 count, uint256 number, address who)
        private
        view
        returns (uint256)
    {
        address to = address(registry);
        all[count++] = Question(to, abi.encodeCall(IClaimIssuerRegistry.isVerified, (who, number)));
        all[count++] = Question(to, abi.encodeCall(IClaimIssuerRegistry.isVerifiedIdentity, (who, number)));
        all[count++] = Question(to, abi.encodeCall(IClaimIssuerRegistry.verificationOf, (who, number)));
        all[count++] = Question(to, abi.encodeCall(IClaimIssuerRegistry.verificationOfIdentity, (who, number)));
        all[count++] = Question(to, abi.encodeCall(IClaimIssuerRegistry.isTrustedIssuer, (who)));
        all[count++] = Question(to, abi.encodeCall(IClaimIssuerRegistry.hasClaimTopic, (who, number)));
        all[count++] = Question(to, abi.encodeCall(IClaimIssuerRegistry.trustedIssuers, (number, number)));
        all[count++] = Question(to, abi.encodeCall(IClaimIssuerRegistry.trustedIssuersFor, (number, 0, number)));
        all[count++] = Question(to, abi.encodeCall(IClaimIssuerRegistry.trustedFactories, (0, number)));
        return count;
    }
}
