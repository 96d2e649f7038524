// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";
import {Bomb, Burner, Parrot} from "./Hostile.sol";
import {VerifiedToken} from "../../contracts/examples/VerifiedToken.sol";
import {IClaimIssuerRegistry} from "../../contracts/interfaces/IClaimIssuerRegistry.sol";
import {IClaimIssuer} from "../../contracts/interfaces/IClaimIssuer.sol";
import {IERC735} from "../../contracts/interfaces/IERC735.sol";
import {IIdFactory} from "../../contracts/interfaces/IIdFactory.sol";
import {IIdentityFactory} from "../../contracts/interfaces/IIdentityFactory.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";
import {ClaimWord} from "../../contracts/libraries/ClaimWord.sol";

contract ReasonsTest is BaseTest {
    address internal further = makeAddr("further");

    function assertReason(IClaimIssuerRegistry.Reason reason) internal view {
        assertEq(uint256(registry.verificationOf(holder, TOPIC)), uint256(reason));
        assertAgree(holder, factory.getIdentity(holder));
        if (factory.getIdentity(holder) == address(0)) return;
        assertEq(uint256(registry.verificationOfIdentity(factory.getIdentity(holder), TOPIC)), uint256(reason));
    }

    function assertAgree(address wallet, address identity) internal view {
        IClaimIssuerRegistry.Reason ok = IClaimIssuerRegistry.Reason.VERIFIED;
        assertEq(registry.isVerified(wallet, TOPIC), registry.verificationOf(wallet, TOPIC) == ok);
        assertEq(registry.isVerifiedIdentity(identity, TOPIC), registry.verificationOfIdentity(identity, TOPIC) == ok);
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
        assertEq(uint256(registry.verificationOf(further, TOPIC)), uint256(IClaimIssuerRegistry.Reason.LINKED_LATER));
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
            careless.teach(IIdentityFactory.isIdentity.selector, abi.encode(true));
            uint256 no = uint256(IClaimIssuerRegistry.Reason.VERIFIED);
            assertNotEq(uint256(registry.verificationOf{gas: 10_000_000}(further, TOPIC)), no);
            assertNotEq(uint256(registry.verificationOfIdentity{gas: 10_000_000}(bad[i], TOPIC)), no);
        }
    }

    function test_IdentityOfNoTrustedFactory() public {
        address identity = address(onboard(holder));
        vm.prank(owner);
        registry.removeFactory(address(factory));
        uint256 none = uint256(IClaimIssuerRegistry.Reason.NO_IDENTITY);
        assertEq(uint256(registry.verificationOfIdentity(identity, TOPIC)), none);
        assertEq(uint256(registry.verificationOf(holder, TOPIC)), none);
    }

    /// @dev The first trusted issuer has no claim and has revoked; the second one's claim is what is spoken of.
    function test_AClaimThatIsThereSaysMoreThanOneThatWasRevoked() public {
        IClaimIssuer second = newIssuer();
        vm.prank(owner);
        registry.addTrustedIssuer(address(second), topics(TOPIC));
        IIdentity identity = newIdentity();
        vm.prank(operator);
        issuer.revokeSubject(address(identity), TOPIC);
        assertReason(IClaimIssuerRegistry.Reason.REVOKED);
        bytes32 word = ClaimWord.pack(0, NOW, NOW + 9, 0);
        bytes memory signature = compact(signerKey, second.claimDigest(address(identity), TOPIC, word));
        vm.prank(holder);
        identity.addClaim(TOPIC, 1, address(second), signature, abi.encode(word), "");
        assertReason(IClaimIssuerRegistry.Reason.VERIFIED);
        vm.warp(NOW + 9);
        assertReason(IClaimIssuerRegistry.Reason.EXPIRED);
    }

    /// @dev Any word, signed or not, at any time, in any epoch, of the wallet itself and of one that was linked later.
    function testFuzz_VerifiedExactlyWhenIsVerified(
        uint16 epoch,
        uint32 issuedAt,
        uint32 expiresAt,
        uint32 time,
        uint8 revocations,
        bool signed
    ) public {
        IIdentity identity = newIdentity();
        vm.prank(holder);
        factory.proposeLink(further);
        vm.prank(further);
        factory.acceptLink(address(identity));
        (epoch, revocations) = (epoch % 3, revocations % 3); // so that they meet often
        for (uint256 i = 0; i < revocations; ++i) {
            vm.prank(operator);
            issuer.revokeSubject(address(identity), TOPIC);
        }
        bytes32 word = ClaimWord.pack(epoch, issuedAt, expiresAt % 2 == 0 ? 0 : expiresAt, 0);
        bytes memory signature = signed ? signWord(address(identity), TOPIC, word) : new bytes(64);
        vm.mockCall( // as an identity that checks nothing would answer
            address(identity),
            abi.encodeCall(identity.getClaim, (idOf(address(issuer), TOPIC))),
            abi.encode(TOPIC, 1, address(issuer), signature, abi.encode(word), "")
        );
        vm.warp(time);
        assertAgree(holder, address(identity));
        assertAgree(further, address(identity));
        bool unexpired = expiresAt % 2 == 0 || time < expiresAt;
        assertEq(registry.isVerified(holder, TOPIC), signed && epoch == revocations && unexpired);
        if (epoch < revocations) assertReason(IClaimIssuerRegistry.Reason.REVOKED);
        else if (!unexpired) assertReason(IClaimIssuerRegistry.Reason.EXPIRED);
        else if (!signed || epoch > revocations) assertReason(IClaimIssuerRegistry.Reason.NOT_VALID);
    }

    /// @dev One hostile contract is factory, identity and issuer, and answers with whatever bytes.
    function testFuzz_AgreeOnHostileAnswers(
        bytes calldata getClaim,
        bytes calldata ids,
        bool valid,
        uint256 epoch,
        uint256 linkedAt
    ) public {
        Parrot all = new Parrot();
        vm.startPrank(owner);
        registry.addFactory(address(all));
        registry.addTrustedIssuer(address(all), topics(TOPIC));
        vm.stopPrank();
        all.teach(IIdFactory.getIdentity.selector, abi.encode(all));
        all.teach(IIdentityFactory.isIdentity.selector, abi.encode(true));
        all.teach(IIdentityFactory.linkedAt.selector, abi.encode(linkedAt));
        all.teach(IERC735.getClaim.selector, getClaim);
        all.teach(IERC735.getClaimIdsByTopic.selector, ids);
        all.teach(IIdentity.isClaimValid.selector, abi.encode(valid));
        all.teach(IClaimIssuer.epochOf.selector, abi.encode(epoch));
        assertAgree(further, address(all));
        bytes memory word = abi.encode(ClaimWord.pack(0, NOW, 0, 0));
        all.teach(IERC735.getClaim.selector, abi.encode(TOPIC, 1, address(all), new bytes(64), word, ""));
        assertAgree(further, address(all));
        assertEq(registry.isVerified(further, TOPIC), valid && linkedAt != 0 && linkedAt <= NOW);
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
        (page, total) = registry.trustedFactories(0, type(uint256).max);
        assertEq(abi.encode(page), abi.encode(registry.factories()));
        assertEq(total, 1);
    }

    function test_TokenForVerifiedWallets() public {
        vm.expectRevert(abi.encodeWithSelector(VerifiedToken.NotVerified.selector, further, TOPIC));
        vm.prank(further);
        new VerifiedToken(address(registry), TOPIC, 100);
        onboard(further);
        vm.startPrank(further);
        VerifiedToken token = new VerifiedToken(address(registry), TOPIC, 100);
        vm.expectRevert(abi.encodeWithSelector(VerifiedToken.NotVerified.selector, holder, TOPIC));
        token.transfer(holder, 1);
        vm.stopPrank();
        address identity = address(onboard(holder));
        vm.prank(further);
        token.transfer(holder, 2);
        assertEq(token.balanceOf(holder), 2);
        vm.prank(operator);
        issuer.revokeSubject(identity, TOPIC);
        vm.expectRevert(abi.encodeWithSelector(VerifiedToken.NotVerified.selector, holder, TOPIC));
        vm.prank(further);
        token.transfer(holder, 1);
        vm.prank(holder);
        token.transfer(further, 1); // what he has he may send on
        assertEq(token.balanceOf(further), 99);
    }
}
