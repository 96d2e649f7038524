// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "../Base.t.sol";
import {Campaign} from "./Campaign.sol";
import {IClaimIssuerRegistry} from "../../../contracts/interfaces/IClaimIssuerRegistry.sol";

interface IOwnable2Step {
    function owner() external view returns (address);
    function pendingOwner() external view returns (address);
    function transferOwnership(address next) external;
    function acceptOwnership() external;
}

/// @dev The lists of the registry beside lists that are kept here.
contract RegistryHandler is BaseTest {
    uint256 public constant ISSUERS = 5;
    uint256 public constant TOPICS = 6;

    IOwnable2Step internal ownable;
    mapping(uint256 issuer => uint256[]) internal topicsOf; // empty if it is not trusted
    address[] internal order; // of the factories
    address public current;
    address public pending;

    constructor() {
        setUp();
        registry = IClaimIssuerRegistry(deployCode("ClaimIssuerRegistry.sol:ClaimIssuerRegistry", abi.encode(owner)));
        ownable = IOwnable2Step(address(registry));
        current = owner;
    }

    function trust(uint256 sender, uint256 issuer_, uint256 seed) external {
        uint256[] memory list = listOf(seed);
        bool may = pick(sender) == current && isGood(list) && topicsOf[issuer_ % ISSUERS].length == 0;
        bytes memory data = abi.encodeCall(IClaimIssuerRegistry.addTrustedIssuer, (issuerAt(issuer_), list));
        if (send(sender, data, may)) topicsOf[issuer_ % ISSUERS] = list;
    }

    function update(uint256 sender, uint256 issuer_, uint256 seed) external {
        uint256[] memory list = listOf(seed);
        bool may = pick(sender) == current && isGood(list) && topicsOf[issuer_ % ISSUERS].length != 0;
        bytes memory data = abi.encodeCall(IClaimIssuerRegistry.updateIssuerClaimTopics, (issuerAt(issuer_), list));
        if (send(sender, data, may)) topicsOf[issuer_ % ISSUERS] = list;
    }

    function distrust(uint256 sender, uint256 issuer_) external {
        bool may = pick(sender) == current && topicsOf[issuer_ % ISSUERS].length != 0;
        bytes memory data = abi.encodeCall(IClaimIssuerRegistry.removeTrustedIssuer, (issuerAt(issuer_)));
        if (send(sender, data, may)) delete topicsOf[issuer_ % ISSUERS];
    }

    function addFactory(uint256 sender, uint256 factory_) external {
        address added = factoryAt(factory_);
        bool may = pick(sender) == current && placeOf(added) == order.length && order.length < 10;
        if (send(sender, abi.encodeCall(IClaimIssuerRegistry.addFactory, (added)), may)) order.push(added);
    }

    function removeFactory(uint256 sender, uint256 factory_) external {
        uint256 place = placeOf(factoryAt(factory_));
        bool may = pick(sender) == current && place < order.length;
        if (send(sender, abi.encodeCall(IClaimIssuerRegistry.removeFactory, (factoryAt(factory_))), may)) take(place);
    }

    function moveFactory(uint256 sender, uint256 factory_, uint256 position) external {
        position %= 12;
        address moved = factoryAt(factory_);
        uint256 place = placeOf(moved);
        bool may = pick(sender) == current && place < order.length && position < order.length;
        if (!send(sender, abi.encodeCall(IClaimIssuerRegistry.moveFactory, (moved, position)), may)) return;
        take(place);
        order.push(moved);
        for (uint256 i = order.length - 1; i > position; --i) {
            (order[i], order[i - 1]) = (order[i - 1], order[i]);
        }
    }

    function handOver(uint256 sender, uint256 next) external {
        bytes memory data = abi.encodeCall(IOwnable2Step.transferOwnership, (pick(next)));
        if (send(sender, data, pick(sender) == current)) pending = pick(next);
    }

    function takeOver(uint256 sender) external {
        bool may = pick(sender) == pending;
        if (send(sender, abi.encodeCall(IOwnable2Step.acceptOwnership, ()), may)) {
            (current, pending) = (pending, address(0));
        }
    }

    function check() external view {
        assertEq(ownable.owner(), current, "owner");
        assertEq(ownable.pendingOwner(), pending, "next owner");
        checkIssuers();
        for (uint256 topic = 1; topic <= TOPICS; ++topic) {
            checkTopic(topic);
        }
        assertEq(abi.encode(registry.factories()), abi.encode(order), "factories, in their order");
        (address[] memory page, uint256 total) = registry.trustedFactories(1, 3);
        assertEq(total, order.length);
        for (uint256 i = 0; i < page.length; ++i) {
            assertEq(page[i], order[i + 1], "a page of them");
        }
    }

    function checkIssuers() private view {
        address[] memory listed = registry.getTrustedIssuers();
        (address[] memory page, uint256 total) = registry.trustedIssuers(0, type(uint256).max);
        assertEq(abi.encode(page, total), abi.encode(listed, listed.length), "the page of all");
        uint256 trusted = 0;
        for (uint256 i = 0; i < ISSUERS; ++i) {
            address account = issuerAt(i);
            bool stands = topicsOf[i].length != 0;
            assertEq(registry.isTrustedIssuer(account), stands, "isTrustedIssuer");
            if (!stands) continue;
            ++trusted;
            uint256[] memory list = registry.getTrustedIssuerClaimTopics(account);
            assertEq(abi.encode(list), abi.encode(topicsOf[i]), "topics of an issuer");
        }
        assertEq(listed.length, trusted, "getTrustedIssuers");
        checkDistinct(listed);
    }

    function checkTopic(uint256 topic) private view {
        address[] memory listed = registry.getTrustedIssuersForClaimTopic(topic);
        uint256 count = 0;
        for (uint256 i = 0; i < ISSUERS; ++i) {
            bool has = false;
            for (uint256 k = 0; k < topicsOf[i].length; ++k) {
                has = has || topicsOf[i][k] == topic;
            }
            assertEq(registry.hasClaimTopic(issuerAt(i), topic), has, "hasClaimTopic");
            if (has) ++count;
        }
        assertEq(listed.length, count, "issuers of a topic");
        checkDistinct(listed);
        for (uint256 i = 0; i < count; ++i) {
            assertTrue(registry.hasClaimTopic(listed[i], topic));
        }
    }

    function checkDistinct(address[] memory list) private pure {
        for (uint256 i = 0; i < list.length; ++i) {
            for (uint256 j = 0; j < i; ++j) {
                assertNotEq(list[i], list[j], "each once");
            }
        }
    }

    function send(uint256 sender, bytes memory data, bool may) private returns (bool done) {
        vm.prank(pick(sender));
        (done,) = address(registry).call(data);
        assertEq(done, may, "the owner alone, and what fits");
    }

    /// @dev Up to seven topics: none, one that is zero, and a repeated one among them.
    function listOf(uint256 seed) private pure returns (uint256[] memory list) {
        list = new uint256[](seed % 8);
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = 1 + ((seed >> 8) + i) % TOPICS;
        }
        if (list.length > 1 && (seed >> 4) % 9 == 0) list[1] = 0;
    }

    function isGood(uint256[] memory list) private pure returns (bool good) {
        good = list.length != 0 && list.length <= TOPICS;
        for (uint256 i = 0; i < list.length; ++i) {
            good = good && list[i] != 0;
        }
    }

    function take(uint256 place) private {
        for (; place + 1 < order.length; ++place) {
            order[place] = order[place + 1];
        }
        order.pop();
    }

    function placeOf(address factory_) private view returns (uint256 place) {
        while (place < order.length && order[place] != factory_) ++place;
    }

    function issuerAt(uint256 number) private pure returns (address) {
        return address(uint160(0xA000 + number % ISSUERS));
    }

    function factoryAt(uint256 number) private pure returns (address) {
        return address(uint160(0xF000 + number % 12)); // two more than there may be
    }

    function pick(uint256 seed) private view returns (address) {
        return [current, current, current, owner, manager, stranger][seed % 6];
    }
}

contract RegistryInvariants is Campaign {
    RegistryHandler internal handler;

    function setUp() public {
        handler = new RegistryHandler();
        bytes4[] memory moves = new bytes4[](8);
        (moves[0], moves[1], moves[2]) = (handler.trust.selector, handler.update.selector, handler.distrust.selector);
        (moves[3], moves[4]) = (handler.addFactory.selector, handler.removeFactory.selector);
        (moves[5], moves[6], moves[7]) =
        (handler.moveFactory.selector, handler.handOver.selector, handler.takeOver.selector);
        target(address(handler), moves);
    }

    function invariant_ListsAreWhatTheOwnerSaid() public view {
        handler.check();
    }
}
