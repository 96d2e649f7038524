// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";
import {Bomb, Burner, Parrot} from "./Hostile.sol";
import {ClaimGated} from "../../contracts/examples/ClaimGated.sol";
import {IClaimIssuer} from "../../contracts/interfaces/IClaimIssuer.sol";
import {IERC735} from "../../contracts/interfaces/IERC735.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";
import {IIdFactory} from "../../contracts/interfaces/IIdFactory.sol";
import {IIdentityFactory} from "../../contracts/interfaces/IIdentityFactory.sol";
import {ClaimTuple} from "../../contracts/libraries/ClaimTuple.sol";

contract RegistryTest is BaseTest {
    address internal further = makeAddr("further");

    function trust(address one, uint256 topic) internal {
        vm.prank(owner);
        registry.addTrustedIssuer(one, topics(topic));
    }

    /// @dev A hostile identity that the first trusted factory vouches for.
    function vouchedFor(address wallet, address identity) internal returns (Parrot careless) {
        careless = new Parrot();
        careless.teach(IIdFactory.getIdentity.selector, abi.encode(identity));
        careless.teach(IIdentityFactory.isIdentity.selector, abi.encode(true));
        careless.teach(IIdentityFactory.isFirstWallet.selector, abi.encode(true));
        vm.prank(owner);
        registry.addFactory(address(careless));
        assertEq(factory.getIdentity(wallet), address(0));
    }

    function test_VerifiedWhileTheClaimIsValid() public {
        assertFalse(registry.isVerified(holder, TOPIC));
        IIdentity identity = onboard(holder);
        assertTrue(registry.isVerified(holder, TOPIC));
        assertTrue(registry.isVerifiedIdentity(address(identity), TOPIC));
        assertFalse(registry.isVerified(holder, TOPIC + 1));
        assertFalse(registry.isVerified(stranger, TOPIC));
        assertFalse(registry.isVerified(address(0), 0));
        vm.prank(manager);
        issuer.removeKey(keyOf(signer), CLAIM);
        assertFalse(registry.isVerified(holder, TOPIC));
    }

    function test_RemovedIssuerOrFactoryCountsNoLonger() public {
        IIdentity identity = onboard(holder);
        vm.startPrank(owner);
        registry.updateIssuerClaimTopics(address(issuer), topics(TOPIC + 1));
        assertFalse(registry.isVerified(holder, TOPIC));
        registry.updateIssuerClaimTopics(address(issuer), topics(TOPIC));
        assertTrue(registry.isVerified(holder, TOPIC));
        registry.removeTrustedIssuer(address(issuer));
        assertFalse(registry.isVerified(holder, TOPIC));
        registry.addTrustedIssuer(address(issuer), topics(TOPIC));
        registry.removeFactory(address(factory));
        assertFalse(registry.isVerified(holder, TOPIC));
        assertFalse(registry.isVerifiedIdentity(address(identity), TOPIC));
        registry.addFactory(address(new Parrot()));
        registry.addFactory(address(factory));
        assertTrue(registry.isVerified(holder, TOPIC)); // the first that knows him answers
        assertTrue(registry.isVerifiedIdentity(address(identity), TOPIC));
    }

    function test_UnlinkedWalletCountsNoLonger() public {
        IIdentity identity = onboard(holder);
        vm.prank(holder);
        factory.unlinkWallet(holder);
        assertFalse(registry.isVerified(holder, TOPIC));
        assertTrue(registry.isVerifiedIdentity(address(identity), TOPIC));
    }

    function test_FurtherWalletCountsForLaterClaimsOnly() public {
        IIdentity identity = onboard(holder);
        vm.prank(holder);
        factory.proposeLink(further);
        vm.warp(NOW + 1);
        vm.prank(further);
        factory.acceptLink(address(identity));
        assertTrue(registry.isVerified(holder, TOPIC));
        assertFalse(registry.isVerified(further, TOPIC));
        onboard(holder); // issued now
        assertTrue(registry.isVerified(further, TOPIC));
    }

    /// @dev A legacy claim does not say when it was issued.
    function test_FurtherWalletDoesNotCountForLegacyClaims() public {
        IIdentity identity = newIdentity();
        bytes memory data = abi.encodePacked(wordOf(0));
        IClaimIssuer.ClaimInput memory claim =
            IClaimIssuer.ClaimInput(TOPIC, 1, signLegacy(address(identity), TOPIC, data), data, "");
        addAsHolder(identity, claim);
        vm.prank(holder);
        factory.proposeLink(further);
        vm.prank(further);
        factory.acceptLink(address(identity));
        assertTrue(registry.isVerified(holder, TOPIC));
        assertFalse(registry.isVerified(further, TOPIC));
    }

    /// @dev The open hole of ERC-3643: the claim names an issuer of its own, which says yes to everything.
    function test_TheTrustedIssuerIsAskedNotTheNamedOne() public {
        Parrot identity = new Parrot();
        identity.teach(IIdentity.isClaimValid.selector, abi.encode(true));
        vouchedFor(stranger, address(identity));
        bytes memory word = abi.encodePacked(wordOf(0));
        identity.teach(IERC735.getClaim.selector, abi.encode(TOPIC, 1, address(identity), new bytes(64), word, ""));
        assertFalse(registry.isVerified(stranger, TOPIC));
        assertFalse(registry.isVerifiedIdentity(address(identity), TOPIC));
        identity.teach(IERC735.getClaim.selector, abi.encode(TOPIC, 1, address(issuer), new bytes(64), word, ""));
        assertFalse(registry.isVerified(stranger, TOPIC));
        // Only what the trusted issuer has signed for this very identity and topic.
        bytes memory signature = signWord(address(identity), TOPIC, wordOf(0));
        identity.teach(IERC735.getClaim.selector, abi.encode(TOPIC + 1, 1, address(issuer), signature, word, ""));
        assertFalse(registry.isVerified(stranger, TOPIC));
        identity.teach(IERC735.getClaim.selector, abi.encode(TOPIC, 1, address(issuer), signature, word, ""));
        assertTrue(registry.isVerified(stranger, TOPIC));
    }

    function test_IdentityOfAnUnknownFactoryIsNotVerified() public {
        vm.prank(owner);
        registry.removeFactory(address(factory));
        Parrot identity = new Parrot();
        bytes memory word = abi.encodePacked(wordOf(0));
        bytes memory signature = signWord(address(identity), TOPIC, wordOf(0));
        identity.teach(IERC735.getClaim.selector, abi.encode(TOPIC, 1, address(issuer), signature, word, ""));
        assertFalse(registry.isVerifiedIdentity(address(identity), TOPIC));
    }

    function hostile() internal returns (address[5] memory) {
        return
            [address(new Burner()), address(new Bomb(true)), address(new Bomb(false)), stranger, address(new Parrot())];
    }

    function test_HostileFactoriesAndIssuersCostOnlyGas() public {
        address[5] memory bad = hostile();
        vm.startPrank(owner);
        registry.removeFactory(address(factory));
        registry.removeTrustedIssuer(address(issuer));
        for (uint256 i = 0; i < 5; ++i) {
            registry.addFactory(bad[i]);
            registry.addTrustedIssuer(bad[i], topics(TOPIC));
        }
        assertFalse(registry.isVerified(holder, TOPIC));
        assertFalse(registry.isVerifiedIdentity(holder, TOPIC));
        registry.addFactory(address(factory));
        registry.addTrustedIssuer(address(issuer), topics(TOPIC));
        vm.stopPrank();
        IIdentity identity = onboard(holder);
        assertTrue(registry.isVerified{gas: 5_000_000}(holder, TOPIC));
        // A claim from each of the hostile issuers, which the identity did not check.
        for (uint256 i = 0; i < 5; ++i) {
            vm.mockCall(
                address(identity),
                abi.encodeCall(identity.getClaim, (idOf(bad[i], TOPIC))),
                abi.encode(TOPIC, 1, bad[i], "", "", "")
            );
        }
        vm.prank(owner);
        registry.updateIssuerClaimTopics(address(issuer), topics(TOPIC + 1));
        assertFalse(registry.isVerified{gas: 5_000_000}(holder, TOPIC));
    }

    function test_HostileIdentitiesCostOnlyGas() public {
        address[5] memory bad = hostile();
        for (uint256 i = 0; i < 5; ++i) {
            Parrot careless = vouchedFor(further, bad[i]);
            assertFalse(registry.isVerified{gas: 3_000_000}(further, TOPIC));
            assertFalse(registry.isVerifiedIdentity{gas: 3_000_000}(bad[i], TOPIC));
            vm.prank(owner);
            registry.removeFactory(address(careless));
        }
    }

    function testFuzz_NeverReverts(bytes calldata getClaim, bytes calldata valid, bytes calldata getIdentity) public {
        Parrot all = new Parrot();
        vouchedFor(further, address(all));
        trust(address(all), TOPIC);
        all.teach(IERC735.getClaim.selector, getClaim);
        all.teach(IIdentity.isClaimValid.selector, valid);
        assertFalse(registry.isVerified(further, TOPIC));
        assertFalse(registry.isVerifiedIdentity(address(all), TOPIC));
        Parrot odd = new Parrot();
        odd.teach(IIdFactory.getIdentity.selector, getIdentity);
        vm.prank(owner);
        registry.addFactory(address(odd));
        assertFalse(registry.isVerified(further, TOPIC));
    }

    /// @dev Well-formed but for one word, which is where a decoder breaks.
    function testFuzz_NeverRevertsOnBentTuples(uint256 word, uint256 value) public {
        Parrot all = new Parrot();
        vouchedFor(further, address(all));
        trust(address(all), TOPIC);
        bytes memory answer = abi.encode(TOPIC, 1, address(all), new bytes(64), new bytes(32), "uri");
        word = bound(word, 0, answer.length / 32 - 1);
        assembly ("memory-safe") {
            mstore(add(answer, mul(32, add(word, 1))), value)
        }
        all.teach(IERC735.getClaim.selector, answer);
        all.teach(IIdentity.isClaimValid.selector, abi.encode(true));
        registry.isVerified(further, TOPIC);
        registry.isVerifiedIdentity(address(all), TOPIC);
    }

    function testFuzz_TupleIsReadAsAbiDecodeReadsIt(
        uint256 topic,
        address from,
        bytes calldata signature,
        bytes calldata data,
        string calldata uri
    ) public pure {
        (bool ok, ClaimTuple.Claim memory claim) =
            ClaimTuple.decode(abi.encode(topic, uint256(1), from, signature, data, uri));
        assertTrue(ok);
        assertEq(claim.topic, topic);
        assertEq(claim.issuer, from);
        assertEq(claim.signature, signature);
        assertEq(claim.data, data);
    }
}

contract ClaimGatedTest is BaseTest {
    function test_LetsInWhoIsVerified() public {
        ClaimGated gate = ClaimGated(deployCode("ClaimGated.sol:ClaimGated", abi.encode(registry, TOPIC)));
        assertFalse(gate.isAllowed(holder));
        vm.prank(holder);
        vm.expectRevert(abi.encodeWithSelector(ClaimGated.NotVerified.selector, holder, TOPIC));
        gate.enter();
        address identity = address(onboard(holder));
        vm.expectEmit(address(gate));
        emit ClaimGated.Entered(holder);
        vm.prank(holder);
        gate.enter();
        vm.prank(operator);
        issuer.revokeBatch(revocation(identity, TOPIC, 0));
        vm.prank(holder);
        vm.expectRevert(abi.encodeWithSelector(ClaimGated.NotVerified.selector, holder, TOPIC));
        gate.enter();
    }
}
