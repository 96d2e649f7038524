// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Vm} from "forge-std/Vm.sol";
import {BaseTest} from "./Base.t.sol";
import {Bomb, Burner, Parrot, Reentrant} from "./Hostile.sol";
import {IClaimIssuer} from "../../contracts/interfaces/IClaimIssuer.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";

contract BatchesTest is BaseTest {
    address internal second = makeAddr("second");
    address internal third = makeAddr("third");
    bytes32 internal id;

    function setUp() public override {
        super.setUp();
        id = idOf(address(issuer), TOPIC);
    }

    function assertHolds(address identity) internal view {
        (uint256 topic,, address from,,,) = IIdentity(identity).getClaim(id);
        assertEq(topic, TOPIC);
        assertEq(from, address(issuer));
    }

    function expectFailed(address identity, uint256 topic, uint256 item) internal {
        vm.expectEmit(address(issuer));
        emit IClaimIssuer.ClaimFailed(identity, topic, item);
    }

    function addition(address identity) internal view returns (IClaimIssuer.Addition memory) {
        return IClaimIssuer.Addition(identity, claimFor(identity));
    }

    function test_OnboardMakesIdentityAndClaim() public {
        IIdentity identity = onboard(holder);
        assertEq(address(identity), factory.predict(holder, address(issuer)));
        assertTrue(identity.keyHasPurpose(keyOf(holder), MANAGEMENT));
        assertHolds(address(identity));
        assertTrue(registry.isVerified(holder, TOPIC));
    }

    function test_OnboardTwiceUpdates() public {
        onboard(holder);
        vm.warp(NOW + 5);
        IIdentity identity = onboard(holder);
        (,,,, bytes memory data,) = identity.getClaim(id);
        assertEq(bytes32(data), wordOf(0));
        assertEq(identity.getClaimIdsByTopic(TOPIC).length, 1);
    }

    function test_BadItemsCostTheOthersNothing() public {
        vm.prank(stranger);
        address unlinked = factory.createFor(stranger, address(issuer));
        vm.prank(stranger);
        factory.unlinkWallet(stranger);
        IClaimIssuer.Onboarding[] memory items = new IClaimIssuer.Onboarding[](5);
        items[0] = itemFor(holder);
        items[1] = itemFor(second);
        items[1].claims[0].signature[5] ^= 0x01; // not what was signed
        items[2].wallet = address(0); // and no claims at all
        items[3] = itemFor(stranger); // has unlinked itself: it does not want one
        items[4] = itemFor(third);
        expectFailed(factory.predict(second, address(issuer)), TOPIC, 1);
        expectFailed(factory.predict(address(0), address(issuer)), 0, 2);
        expectFailed(unlinked, TOPIC, 3);
        vm.prank(operator);
        issuer.onboard(items);
        assertHolds(factory.getIdentity(holder));
        assertHolds(factory.getIdentity(third));
        assertFalse(registry.isVerified(second, TOPIC));
        assertFalse(registry.isVerified(stranger, TOPIC));
    }

    function test_BadClaimCostsTheItemsOtherClaimsNothing() public {
        IClaimIssuer.Onboarding[] memory items = new IClaimIssuer.Onboarding[](1);
        IClaimIssuer.ClaimInput memory good = itemFor(holder).claims[0];
        items[0].wallet = holder;
        items[0].claims = new IClaimIssuer.ClaimInput[](3);
        items[0].claims[0] = IClaimIssuer.ClaimInput(0, 1, good.signature, good.data, "");
        items[0].claims[1] = IClaimIssuer.ClaimInput(TOPIC + 1, 1, good.signature, new bytes(100_000), "");
        items[0].claims[2] = good;
        expectFailed(factory.predict(holder, address(issuer)), 0, 0);
        expectFailed(factory.predict(holder, address(issuer)), TOPIC + 1, 0);
        vm.prank(operator);
        issuer.onboard(items);
        assertHolds(factory.getIdentity(holder));
    }

    function test_MutedAndRemovedAreFailuresNotReverts() public {
        IIdentity identity = onboard(holder);
        vm.prank(holder);
        identity.removeClaim(id);
        expectFailed(address(identity), TOPIC, 0);
        onboard(holder);
        vm.startPrank(holder);
        identity.allowClaim(id);
        identity.setAdderMuted(true);
        vm.stopPrank();
        expectFailed(address(identity), TOPIC, 0);
        onboard(holder);
        assertFalse(registry.isVerified(holder, TOPIC));
    }

    function test_HostileIdentitiesCostTheOthersNothing() public {
        Reentrant reentrant = new Reentrant(issuer);
        vm.startPrank(manager); // even one that could pass for an operator
        issuer.setOperator(address(reentrant), true);
        issuer.addKey(keyOf(address(reentrant)), MANAGEMENT, ECDSA);
        vm.stopPrank();
        address good = address(newIdentity());
        address[6] memory bad = [
            address(new Burner()),
            address(new Bomb(true)),
            stranger, // no code
            address(new Parrot()), // answers nothing
            address(issuer),
            address(0)
        ];
        IClaimIssuer.Addition[] memory items = new IClaimIssuer.Addition[](9);
        for (uint256 i = 0; i < 6; ++i) {
            items[i] = addition(bad[i]);
        }
        items[6] = addition(address(new Bomb(false)));
        items[7] = addition(address(reentrant));
        items[8] = addition(good);
        for (uint256 i = 0; i < 6; ++i) {
            expectFailed(bad[i], TOPIC, i);
        }
        vm.prank(operator);
        issuer.addClaimsTo{gas: 16_000_000}(items);
        assertHolds(good);
        assertEq(reentrant.tried(), 3);
        assertEq(reentrant.succeeded(), 0);
    }

    /// @dev A burner takes its fixed gas and no more, whatever the transaction has.
    function test_ABurnerTakesItsFixedGasOnly() public {
        IClaimIssuer.Addition[] memory items = new IClaimIssuer.Addition[](1);
        items[0] = addition(address(new Burner()));
        uint256 fixedGas = issuer.CLAIM_GAS() + 3 * issuer.CLAIM_WORD_GAS();
        vm.prank(operator);
        uint256 before = gasleft();
        issuer.addClaimsTo(items);
        assertLt(before - gasleft(), fixedGas + 60_000);
    }

    /// @dev An operator's key that was stolen cannot write on the issuer's own identity, where the issuer would vouch for itself.
    function test_OperatorsCannotWriteOnTheIssuerItself() public {
        IClaimIssuer.Addition[] memory items = new IClaimIssuer.Addition[](1);
        items[0] = addition(address(issuer));
        items[0].claim.signature = "";
        expectFailed(address(issuer), TOPIC, 0);
        vm.prank(operator);
        issuer.addClaimsTo(items);
        (uint256 topic,,,,,) = issuer.getClaim(id);
        assertEq(topic, 0);
    }

    function test_IdentityMadeElsewhereGivesAClaimKey() public {
        vm.prank(holder);
        IIdentity elsewhere = IIdentity(factory.createFor(holder, address(0)));
        IClaimIssuer.Addition[] memory items = new IClaimIssuer.Addition[](1);
        items[0] = addition(address(elsewhere));
        expectFailed(address(elsewhere), TOPIC, 0);
        vm.prank(operator);
        issuer.addClaimsTo(items);
        vm.prank(holder);
        elsewhere.addKey(keyOf(address(issuer)), CLAIM, ECDSA);
        vm.prank(operator);
        issuer.addClaimsTo(items);
        assertHolds(address(elsewhere));
    }

    /// @dev The longest claim that an identity takes fits in the gas that it is given, and the registry can read it.
    function test_LongestClaimFits() public {
        address identity = factory.predict(holder, address(issuer));
        IClaimIssuer.Onboarding[] memory items = new IClaimIssuer.Onboarding[](1);
        items[0].wallet = holder;
        items[0].claims = new IClaimIssuer.ClaimInput[](1);
        bytes memory data = longBytes();
        items[0].claims[0] =
            IClaimIssuer.ClaimInput(TOPIC, 1, signLegacy(identity, TOPIC, data), data, string(longBytes()));
        vm.prank(operator);
        issuer.onboard(items);
        assertHolds(identity);
        assertTrue(registry.isVerified(holder, TOPIC));
        assertTrue(registry.isVerifiedIdentity(identity, TOPIC));
    }

    function longBytes() private pure returns (bytes memory data) {
        data = new bytes(2048);
        for (uint256 i = 0; i < data.length; ++i) {
            data[i] = 0xff;
        }
    }

    /// @dev With any amount of gas a batch either reverts as a whole or does all that it would do with plenty: a starved call is never a failed one.
    function testFuzz_UnderGassedBatchFakesNoFailure(uint256 gasLimit) public {
        IClaimIssuer.Onboarding[] memory items = new IClaimIssuer.Onboarding[](2);
        items[0] = itemFor(holder);
        items[1] = itemFor(second);
        gasLimit = bound(gasLimit, 30_000, 2_000_000);
        vm.recordLogs();
        vm.prank(operator);
        (bool success,) = address(issuer).call{gas: gasLimit}(abi.encodeCall(issuer.onboard, (items)));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        if (success) {
            for (uint256 i = 0; i < logs.length; ++i) {
                assertNotEq(logs[i].topics[0], IClaimIssuer.ClaimFailed.selector);
            }
            assertHolds(factory.getIdentity(holder));
            assertHolds(factory.getIdentity(second));
        } else {
            assertEq(factory.getIdentity(holder), address(0));
        }
    }

    function test_RevertWhen_GasIsShort() public {
        IClaimIssuer.Onboarding[] memory items = new IClaimIssuer.Onboarding[](1);
        items[0] = itemFor(holder);
        vm.prank(operator);
        vm.expectRevert(IClaimIssuer.NotEnoughGas.selector);
        issuer.onboard{gas: 500_000}(items); // enough for what it does, not for what it might
        IClaimIssuer.Addition[] memory additions = new IClaimIssuer.Addition[](1);
        additions[0] = addition(address(newIdentity()));
        vm.prank(operator);
        vm.expectRevert(IClaimIssuer.NotEnoughGas.selector);
        issuer.addClaimsTo{gas: 400_000}(additions);
    }

    /// @dev The formula of docs/contracts.md, when everybody burns all that he gets.
    function testFuzz_GasLimitFormulaIsEnough(uint256 count) public {
        count = bound(count, 1, 30);
        IClaimIssuer.Addition[] memory items = new IClaimIssuer.Addition[](count + 1);
        address burner = address(new Burner());
        for (uint256 i = 0; i < count; ++i) {
            items[i] = addition(burner);
        }
        items[count] = addition(address(newIdentity()));
        uint256 perClaim = issuer.CLAIM_GAS() + 3 * issuer.CLAIM_WORD_GAS() + 10_000;
        vm.prank(operator);
        issuer.addClaimsTo{gas: items.length * perClaim + 20_000}(items);
        assertHolds(items[count].identity);
    }

    function testFuzz_GasLimitFormulaIsEnoughForOnboarding(uint256 count, uint256 absent) public {
        count = bound(count, 1, 20);
        IClaimIssuer.Onboarding[] memory items = new IClaimIssuer.Onboarding[](count);
        uint256 limit = 20_000;
        for (uint256 i = 0; i < count; ++i) {
            address wallet = address(uint160(0xabcdef0000 + i));
            limit += 15_000 + issuer.CLAIM_GAS() + 3 * issuer.CLAIM_WORD_GAS() + 10_000;
            if ((absent >> i) & 1 == 1) {
                limit += issuer.CREATE_GAS();
            } else {
                vm.prank(wallet);
                factory.createFor(wallet, address(issuer));
            }
            items[i] = itemFor(wallet);
        }
        vm.prank(operator);
        issuer.onboard{gas: limit}(items);
        for (uint256 i = 0; i < count; ++i) {
            assertTrue(registry.isVerified(items[i].wallet, TOPIC));
        }
    }
}
