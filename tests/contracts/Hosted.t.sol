// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";
import {Burner} from "./Hostile.sol";
import {IClaimHost} from "../../contracts/interfaces/IClaimHost.sol";
import {IClaimIssuer} from "../../contracts/interfaces/IClaimIssuer.sol";
import {IERC735} from "../../contracts/interfaces/IERC735.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";
import {ClaimWord} from "../../contracts/libraries/ClaimWord.sol";

abstract contract HostedBase is BaseTest {
    uint256 internal nextNonce;

    function authorized(string memory kind, bytes memory items, uint256 key)
        internal
        returns (IClaimHost.Authorization memory permit)
    {
        permit.nonce = nextNonce++;
        permit.deadline = block.timestamp;
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Claimwright"),
                keccak256("1"),
                block.chainid,
                address(issuer)
            )
        );
        bytes32 typeHash =
            keccak256(abi.encodePacked(kind, "(uint256 topic,bytes32 items,uint256 nonce,uint256 deadline)"));
        bytes32 hash = keccak256(abi.encode(typeHash, TOPIC, keccak256(items), permit.nonce, permit.deadline));
        permit.signature = compact(key, keccak256(abi.encodePacked(hex"1901", domain, hash)));
    }

    function wordsFor(address[] memory subjects, bytes32 word) internal pure returns (IClaimHost.Hosted[] memory items) {
        items = new IClaimHost.Hosted[](subjects.length);
        for (uint256 i = 0; i < subjects.length; ++i) {
            items[i] = IClaimHost.Hosted(subjects[i], word);
        }
    }

    function only(address one) internal pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = one;
    }

    function issueTo(address[] memory identities, bytes32 word) internal {
        IClaimHost.Hosted[] memory items = wordsFor(identities, word);
        IClaimHost.Authorization memory permit = authorized("Issue", abi.encode(items), signerKey);
        vm.prank(operator);
        issuer.issue(TOPIC, items, permit);
    }

    function onboardTo(address[] memory wallets, bytes32 word) internal {
        IClaimHost.Hosted[] memory items = wordsFor(wallets, word);
        IClaimHost.Authorization memory permit = authorized("Onboard", abi.encode(items), signerKey);
        vm.prank(operator);
        issuer.onboardHosted(TOPIC, items, permit);
    }

    function revokeAt(address[] memory identities) internal {
        IClaimHost.Authorization memory permit = authorized("RevokeHosted", abi.encode(identities), signerKey);
        vm.prank(operator);
        issuer.revokeHosted(TOPIC, identities, permit);
    }
}

contract HostedTest is HostedBase {
    IIdentity internal identity;
    bytes32 internal id;

    function setUp() public override {
        super.setUp();
        identity = newIdentity();
        id = idOf(address(issuer), TOPIC);
    }

    function assertShows(bytes32 word) internal view {
        (uint256 topic, uint256 scheme, address from, bytes memory signature, bytes memory data, string memory uri) =
            identity.getClaim(id);
        bytes32[] memory ids = identity.getClaimIdsByTopic(TOPIC);
        if (word == 0) {
            assertEq(topic + scheme + uint160(from) + data.length + ids.length, 0);
            return;
        }
        assertEq(topic, TOPIC);
        assertEq(scheme, 3);
        assertEq(from, address(issuer));
        assertEq(signature.length + bytes(uri).length, 0);
        assertEq(data, abi.encodePacked(word));
        assertEq(ids.length, 1);
        assertEq(ids[0], id);
        assertTrue(issuer.isClaimValid(address(identity), TOPIC, signature, data));
    }

    function test_IssueRenewRevokeIssue() public {
        bytes32 word = wordOf(0);
        vm.expectEmit(address(identity));
        emit IERC735.ClaimAdded(id, TOPIC, 3, address(issuer), "", abi.encode(word), "");
        issueTo(only(address(identity)), word);
        assertShows(word);
        assertTrue(registry.isVerified(holder, TOPIC));

        vm.warp(NOW + 1);
        bytes32 renewed = wordOf(0);
        vm.expectEmit(address(identity));
        emit IERC735.ClaimChanged(id, TOPIC, 3, address(issuer), "", abi.encode(renewed), "");
        issueTo(only(address(identity)), renewed);
        assertShows(renewed);
        assertFalse(issuer.isClaimValid(address(identity), TOPIC, "", abi.encode(word)));

        vm.expectEmit(address(identity));
        emit IERC735.ClaimRemoved(id, TOPIC, 3, address(issuer), "", abi.encode(renewed), "");
        revokeAt(only(address(identity)));
        assertShows(0);
        assertFalse(registry.isVerified(holder, TOPIC));
        assertFalse(issuer.isClaimValid(address(identity), TOPIC, "", abi.encode(renewed)));
        assertEq(issuer.epochOf(address(identity), TOPIC), 1);

        issueTo(only(address(identity)), wordOf(1));
        assertTrue(registry.isVerified(holder, TOPIC));
    }

    function test_RevocationBySubjectEndsBothForms() public {
        bytes32 word = wordOf(0);
        bytes memory signature = signWord(address(identity), TOPIC, word);
        issueTo(only(address(identity)), word);
        vm.prank(operator);
        issuer.revokeBatch(revocation(address(identity), TOPIC, 0));
        assertShows(0);
        assertFalse(isValid(address(identity), TOPIC, signature, word));
        assertFalse(isValid(address(identity), TOPIC, "", word));
    }

    function test_OnboardingMakesTheIdentity() public {
        address wallet = makeAddr("new wallet");
        onboardTo(only(wallet), wordOf(0));
        assertTrue(registry.isVerified(wallet, TOPIC));
        assertTrue(factory.isFirstWallet(wallet));
    }

    function test_BadItemsCostTheOthersNothing() public {
        address[] memory list = new address[](4);
        (list[0], list[1], list[2], list[3]) = (address(new Burner()), stranger, makeAddr("none"), address(identity));
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectEmit(address(issuer));
            emit IClaimIssuer.ClaimFailed(list[i], TOPIC, i);
        }
        issueTo(list, wordOf(0));
        assertShows(wordOf(0));
        for (uint256 i = 0; i < 3; ++i) {
            assertFalse(isValid(list[i], TOPIC, "", wordOf(0)));
        }
    }

    function test_AWordThatIsNotCurrentIsAFailure() public {
        bytes32[3] memory bad = [wordOf(1), ClaimWord.pack(0, 1, 2, 0), bytes32(0)];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectEmit(address(issuer));
            emit IClaimIssuer.ClaimFailed(address(identity), TOPIC, 0);
            issueTo(only(address(identity)), bad[i]);
            assertShows(0);
        }
    }

    function test_MutedOrRemovedStaysOut() public {
        issueTo(only(address(identity)), wordOf(0));
        vm.prank(holder);
        identity.removeClaim(id);
        assertShows(0);
        assertFalse(registry.isVerified(holder, TOPIC));
        vm.expectEmit(address(issuer));
        emit IClaimIssuer.ClaimFailed(address(identity), TOPIC, 0);
        issueTo(only(address(identity)), wordOf(0));
        assertShows(0);
        vm.startPrank(holder);
        identity.allowClaim(id);
        identity.setAdderMuted(true);
        vm.stopPrank();
        assertShows(0); // while it is muted
        vm.warp(NOW + 1);
        vm.expectEmit(address(issuer));
        emit IClaimIssuer.ClaimFailed(address(identity), TOPIC, 0);
        issueTo(only(address(identity)), wordOf(0));
        vm.prank(holder);
        identity.setAdderMuted(false);
        vm.warp(NOW);
        assertShows(wordOf(0)); // as it was
    }

    function test_ASignedClaimIsShownUntilItIsWithdrawn() public {
        IClaimIssuer.ClaimInput memory claim = claimFor(address(identity));
        addAsHolder(identity, claim);
        bytes32 word = ClaimWord.pack(0, NOW, 0, "hosted");
        issueTo(only(address(identity)), word);
        (, uint256 scheme,,,,) = identity.getClaim(id);
        assertEq(scheme, 1);
        vm.prank(operator);
        issuer.withdraw(TOPIC, only(address(identity)));
        assertShows(word);
    }

    function test_OperatorsCannotAuthorize() public {
        IClaimHost.Hosted[] memory items = wordsFor(only(address(identity)), wordOf(0));
        (, uint256 anyKey) = makeAddrAndKey("anybody");
        IClaimHost.Authorization memory permit = authorized("Issue", abi.encode(items), anyKey);
        vm.startPrank(operator);
        vm.expectRevert(IClaimHost.NotAuthorized.selector);
        issuer.issue(TOPIC, items, permit);
        permit = authorized("Issue", abi.encode(items), legacyKey);
        vm.expectRevert(IClaimHost.NotAuthorized.selector);
        issuer.issue(TOPIC, items, permit);
        permit = authorized("Onboard", abi.encode(items), signerKey); // for something else
        vm.expectRevert(IClaimHost.NotAuthorized.selector);
        issuer.issue(TOPIC, items, permit);
        permit = authorized("Issue", abi.encode(items), signerKey);
        items[0].subject = stranger; // not what was signed
        vm.expectRevert(IClaimHost.NotAuthorized.selector);
        issuer.issue(TOPIC, items, permit);
        vm.stopPrank();
        vm.prank(stranger);
        vm.expectRevert(IClaimIssuer.SenderIsNotOperator.selector);
        issuer.issue(TOPIC, items, permit);
    }

    function test_AnAuthorizationWorksOnceAndInTime() public {
        IClaimHost.Hosted[] memory items = wordsFor(only(address(identity)), wordOf(0));
        IClaimHost.Authorization memory permit = authorized("Issue", abi.encode(items), signerKey);
        vm.startPrank(operator);
        issuer.issue(TOPIC, items, permit);
        assertTrue(issuer.isNonceUsed(signer, permit.nonce));
        vm.expectRevert(abi.encodeWithSelector(IClaimHost.NonceUsed.selector, signer, permit.nonce));
        issuer.issue(TOPIC, items, permit);
        permit = authorized("Issue", abi.encode(items), signerKey);
        vm.warp(NOW + 1);
        vm.expectRevert(abi.encodeWithSelector(IClaimHost.AuthorizationExpired.selector, NOW));
        issuer.issue(TOPIC, items, permit);
        permit = authorized("Issue", abi.encode(items), signerKey);
        vm.stopPrank();
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSignature("SenderIsNotGuardian()"));
        issuer.cancelAuthorization(signer, permit.nonce);
        vm.prank(signer);
        issuer.cancelAuthorization(signer, permit.nonce);
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(IClaimHost.NonceUsed.selector, signer, permit.nonce));
        issuer.issue(TOPIC, items, permit);
    }

    function testFuzz_NobodyElseNotes(address sender, uint256 topic, bytes32 old, bytes32 word) public {
        vm.assume(sender != address(issuer));
        vm.prank(sender);
        vm.expectRevert(IIdentity.SenderIsNotAdder.selector);
        identity.hostedWordChanged(topic, old, word);
    }
}

/// forge-config: default.isolate = true
contract HostedGasTest is HostedBase {
    uint256 private constant BATCH = 20;

    function spent(string memory name, uint256 ceiling) internal {
        uint256 each = vm.lastCallGas().gasTotalUsed / BATCH;
        vm.snapshotValue("gas", name, each);
        assertLe(each, ceiling, name);
    }

    function test_Batches() public {
        address[] memory list = new address[](BATCH);
        for (uint256 i = 0; i < BATCH; ++i) {
            list[i] = address(uint160(uint256(keccak256(abi.encode("wallet", i)))));
        }
        onboardTo(only(holder), wordOf(0)); // opens the topic, once per issuer
        onboardTo(list, wordOf(0));
        spent("onboardHosted, each of 20", 124_000);
        for (uint256 i = 0; i < BATCH; ++i) {
            address wallet = address(uint160(uint256(keccak256(abi.encode("other wallet", i)))));
            vm.prank(wallet);
            list[i] = factory.createFor(wallet, address(issuer));
        }
        issueTo(list, wordOf(0));
        spent("issue hosted, each of 20", 36_000);
        vm.warp(NOW + 1);
        issueTo(list, wordOf(0));
        spent("renew hosted, each of 20", 19_000);
        IClaimIssuer.Revocation[] memory revocations = new IClaimIssuer.Revocation[](BATCH);
        for (uint256 i = 0; i < BATCH; ++i) {
            revocations[i] = IClaimIssuer.Revocation(list[i], TOPIC, 0);
        }
        vm.prank(operator);
        issuer.revokeBatch(revocations);
        spent("revokeBatch of hosted, each of 20", 15_000);
        issueTo(list, wordOf(1));
        revokeAt(list);
        spent("revokeHosted, with the identity's event, each of 20", 15_800); // the goal is 15,000, which revokeBatch keeps
    }
}
