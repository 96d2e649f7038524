// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";
import {Bomb, Burner, Parrot} from "./Hostile.sol";
import {VerifiedToken} from "../../contracts/examples/VerifiedToken.sol";
import {IClaimIssuerRegistry} from "../../contracts/interfaces/IClaimIssuerRegistry.sol";
import {IClaimIssuer} from "../../contracts/interfaces/IClaimIssuer.sol";
import {IIdFactory} from "../../contracts/interfaces/IIdFactory.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";
import {ClaimWord} from "../../contracts/libraries/ClaimWord.sol";

contract ReasonsTest is BaseTest {
    address internal further = makeAddr("further");

    function assertReason(IClaimIssuerRegistry.Reason reason) internal view {
        assertEq(uint256(registry.verificationOf(holder, TOPIC)), uint256(reason));
        assertEq(registry.isVerified(holder, TOPIC), reason == IClaimIssuerRegistry.Reason.VERIFIED);
    }

    function test_EachReason() public {
        assertReason(IClaimIssuerRegistry.Reason.NO_IDENTITY);
        IIdentity identity = newIdentity();
        assertReason(IClaimIssuerRegistry.Reason.NO_CLAIM);
        vm.prank(holder);
        identity.addClaim(TOPIC, 1, address(identity), "", "", "");
        assertReason(IClaimIssuerRegistry.Reason.UNTRUSTED_ISSUER);
        bytes32 word = ClaimWord.pack(0, NOW, NOW + 9, 0);
        bytes memory signature = signWord(address(identity), TOPIC, word);
        addAsHolder(identity, IClaimIssuer.ClaimInput(TOPIC, 1, signature, abi.encode(word), ""));
        assertReason(IClaimIssuerRegistry.Reason.VERIFIED);
        vm.prank(manager);
        issuer.suspendSigner(signer);
        assertReason(IClaimIssuerRegistry.Reason.NOT_VALID);
        vm.warp(NOW + 9);
        assertReason(IClaimIssuerRegistry.Reason.EXPIRED);
        vm.prank(operator);
        issuer.revokeSubject(address(identity), TOPIC);
        assertReason(IClaimIssuerRegistry.Reason.REVOKED);
    }

    function test_RevokedBySignature() public {
        IIdentity identity = onboard(holder);
        bytes memory signature = signWord(address(identity), TOPIC, wordOf(0));
        vm.prank(manager);
        issuer.revokeClaimBySignature(signature);
        assertReason(IClaimIssuerRegistry.Reason.REVOKED);
    }

    function test_LinkedLater() public {
        IIdentity identity = onboard(holder);
        vm.warp(NOW + 1);
        vm.prank(holder);
        factory.proposeLink(further);
        vm.prank(further);
        factory.acceptLink(address(identity));
        assertEq(
            uint256(registry.verificationOf(further, TOPIC)), uint256(IClaimIssuerRegistry.Reason.LINKED_LATER)
        );
    }

    function test_HostilePartiesCostOnlyGas() public {
        address[4] memory bad =
            [address(new Burner()), address(new Bomb(true)), address(new Bomb(false)), address(new Parrot())];
        for (uint256 i = 0; i < 4; ++i) {
            Parrot careless = new Parrot();
            careless.teach(IIdFactory.getIdentity.selector, abi.encode(bad[i]));
            vm.startPrank(owner);
            registry.addFactory(address(careless));
            registry.addTrustedIssuer(bad[i], topics(TOPIC));
            vm.stopPrank();
            registry.verificationOf{gas: 10_000_000}(further, TOPIC);
        }
    }

    function test_MetadataAndPages() public {
        IClaimIssuerRegistry.Metadata memory about =
            IClaimIssuerRegistry.Metadata("Basic", "https://example.org/basic.json", keccak256("{}"));
        vm.expectRevert();
        registry.setTopicMetadata(TOPIC, about);
        vm.startPrank(owner);
        registry.setTopicMetadata(TOPIC, about);
        registry.setIssuerMetadata(address(issuer), about);
        for (uint160 i = 1; i <= 4; ++i) {
            registry.addTrustedIssuer(address(i), topics(TOPIC));
        }
        vm.stopPrank();
        assertEq(abi.encode(registry.topicMetadata(TOPIC)), abi.encode(about));
        assertEq(abi.encode(registry.issuerMetadata(address(issuer))), abi.encode(about));
        (address[] memory page, uint256 total) = registry.trustedIssuers(3, 9);
        assertEq(total, 5);
        assertEq(page.length, 2);
        assertEq(page[1], address(4));
        (page,) = registry.trustedIssuersFor(TOPIC, 0, 2);
        assertEq(page.length, 2);
        assertEq(page[0], address(issuer));
        (page,) = registry.trustedIssuersFor(TOPIC, type(uint256).max, type(uint256).max);
        assertEq(page.length, 0);
    }

    function test_TokenForVerifiedWallets() public {
        VerifiedToken token = new VerifiedToken(address(registry), TOPIC, 100);
        vm.expectRevert(abi.encodeWithSelector(VerifiedToken.NotVerified.selector, holder, TOPIC));
        token.transfer(holder, 1);
        address identity = address(onboard(holder));
        token.transfer(holder, 1);
        assertEq(token.balanceOf(holder), 1);
        vm.prank(operator);
        issuer.revokeSubject(identity, TOPIC);
        vm.expectRevert(abi.encodeWithSelector(VerifiedToken.NotVerified.selector, holder, TOPIC));
        token.transfer(holder, 1);
    }
}
