// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "../Base.t.sol";
import {Campaign} from "./Campaign.sol";
import {IERC734} from "../../../contracts/interfaces/IERC734.sol";
import {IIdFactory} from "../../../contracts/interfaces/IIdFactory.sol";
import {IIdentityFactory} from "../../../contracts/interfaces/IIdentityFactory.sol";

/// @dev Made elsewhere: it says that everybody in its list manages it.
contract Elsewhere {
    mapping(bytes32 key => bool) private _managers;

    function set(address account, bool manages) external {
        _managers[keccak256(abi.encode(account))] = manages;
    }

    function keyHasPurpose(bytes32 key, uint256 purpose) external view returns (bool) {
        return purpose == 1 && _managers[key];
    }
}

/// @dev Four wallets, the identities that they may make, and one made elsewhere. Only a wallet itself, a deployer for a wallet that has none, or a wallet that accepts
/// what a manager proposed makes a link.
contract LinksHandler is BaseTest {
    address[4] public wallets;
    uint256[4] internal walletKeys;
    address[9] public identities; // of each wallet with our issuer as its adder, of each without one, and one made elsewhere
    mapping(address wallet => address) public identityOf;
    mapping(address wallet => uint256) public since;
    mapping(address wallet => uint256) public lastLinked; // stays after unlinking
    mapping(address identity => mapping(address wallet => address proposer)) internal proposals;
    address[2][] internal offers; // identity and wallet of each proposal that was ever made

    constructor() {
        setUp();
        for (uint256 i = 0; i < 4; ++i) {
            (wallets[i], walletKeys[i]) = makeAddrAndKey(string.concat("wallet ", vm.toString(i)));
            identities[i] = factory.predict(wallets[i], address(issuer));
            identities[4 + i] = factory.predict(wallets[i], address(0));
        }
        identities[8] = address(new Elsewhere());
        vm.prank(owner);
        factory.addTokenFactory(operator);
    }

    function create(uint256 sender, uint256 wallet, bool plain) external {
        (address from, address to) = (pick(sender), wallets[wallet % 4]);
        address adder = plain ? address(0) : address(issuer);
        address made = factory.predict(to, adder);
        bool may = from == to || (from == address(issuer) && !plain);
        bool fresh = identityOf[to] == address(0) && made.code.length == 0;
        vm.prank(from);
        (bool done,) = address(factory).call(abi.encodeCall(IIdentityFactory.createFor, (to, adder)));
        assertEq(done, may && fresh, "who may make whose identity, and once");
        if (done) link(to, made);
    }

    function createMany(uint256 sender, uint256 first) external {
        address from = pick(sender);
        first %= 4;
        address[] memory list = new address[](3);
        (list[0], list[1], list[2]) = (wallets[first], address(0), wallets[(first + 1) % 4]);
        bool[3] memory absent;
        for (uint256 i = 0; i < 3; i += 2) {
            absent[i] = identityOf[list[i]] == address(0) && factory.predict(list[i], address(issuer)).code.length == 0;
        }
        vm.prank(from);
        (bool done,) = address(factory).call(abi.encodeCall(IIdentityFactory.createMany, (list, address(issuer))));
        assertEq(done, from == address(issuer), "a deployer in its own name");
        for (uint256 i = 0; done && i < 3; i += 2) {
            if (absent[i]) link(list[i], factory.predict(list[i], address(issuer)));
        }
    }

    function createWithConsent(uint256 wallet, uint256 signs, uint256 late) external {
        address to = wallets[wallet % 4];
        uint256 deadline = block.timestamp - late % 2;
        bytes32 kind = keccak256("Consent(address wallet,address adder,uint256 deadline)");
        bytes32 digest = digestOf(keccak256(abi.encode(kind, to, address(0), deadline)));
        bytes memory signature = full(walletKeys[signs % 4], digest);
        address made = factory.predict(to, address(0));
        bool fresh = identityOf[to] == address(0) && made.code.length == 0;
        vm.prank(stranger);
        (bool done,) = address(factory)
            .call(abi.encodeCall(IIdentityFactory.createForWithConsent, (to, address(0), deadline, signature)));
        assertEq(done, signs % 4 == wallet % 4 && late % 2 == 0 && fresh, "with the wallet's own consent, in time");
        if (done) link(to, made);
    }

    function propose(uint256 sender, uint256 wallet) external {
        (address from, address to) = (pick(sender), wallets[wallet % 4]);
        address identity = speaksFor(from);
        vm.prank(from);
        (bool done,) = address(factory).call(abi.encodeCall(IIdentityFactory.proposeLink, (to)));
        assertEq(done, identity != address(0) && identityOf[to] == address(0), "who may propose whom");
        if (!done) return;
        proposals[identity][to] = from;
        offers.push([identity, to]);
    }

    function withdraw(uint256 sender, uint256 wallet) external {
        (address from, address to) = (pick(sender), wallets[wallet % 4]);
        address identity = speaksFor(from);
        vm.prank(from);
        (bool done,) = address(factory).call(abi.encodeCall(IIdentityFactory.withdrawLink, (to)));
        assertEq(done, identity != address(0) && proposals[identity][to] != address(0), "who may withdraw what");
        if (done) proposals[identity][to] = address(0);
    }

    /// @dev Mostly what was proposed lately, since little else gets far.
    function accept(uint256 sender, uint256 identity) external {
        (address from, address to) = (pick(sender), identities[identity % 9]);
        if (sender % 4 != 0 && offers.length != 0) {
            address[2] memory offer = recentOffer(identity);
            (to, from) = (offer[0], offer[1]);
        }
        address proposer = proposals[to][from];
        bool stands = proposer != address(0) && manages(proposer, to);
        vm.prank(from);
        (bool done,) = address(factory).call(abi.encodeCall(IIdentityFactory.acceptLink, (to)));
        assertEq(done, stands && identityOf[from] == address(0), "only what a manager still proposes");
        if (!done) return;
        proposals[to][from] = address(0);
        link(from, to);
    }

    function adopt(uint256 sender, uint256 identity) external {
        (address from, address to) = (pick(sender), identities[identity % 9]);
        bool may = to.code.length != 0 && from != to && manages(from, to);
        vm.prank(from);
        (bool done,) = address(factory).call(abi.encodeCall(IIdentityFactory.adopt, (to)));
        assertEq(done, may && identityOf[from] == address(0), "what it manages");
        if (done) link(from, to);
    }

    function unlink(uint256 sender, uint256 wallet) external {
        address gone = wallets[wallet % 4];
        address from = sender % 3 == 0 ? gone : pick(sender);
        address identity = identityOf[gone];
        bool may = identity != address(0) && (from == gone || manages(from, identity));
        vm.prank(from);
        (bool done,) = address(factory).call(abi.encodeCall(IIdFactory.unlinkWallet, (gone)));
        assertEq(done, may, "either side ends it");
        if (done) (identityOf[gone], since[gone]) = (address(0), 0);
    }

    function setManager(uint256 identity, uint256 wallet, bool adding) external {
        (address where, address whom) = (identities[identity % 9], wallets[wallet % 4]);
        if (wallet % 3 != 0 && offers.length != 0) {
            where = recentOffer(identity)[0];
            if (!adding) whom = proposals[where][recentOffer(identity)[1]];
        }
        if (where == identities[8]) return Elsewhere(where).set(whom, adding);
        bytes memory data = adding
            ? abi.encodeCall(IERC734.addKey, (keyOf(whom), MANAGEMENT, ECDSA))
            : abi.encodeCall(IERC734.removeKey, (keyOf(whom), MANAGEMENT));
        vm.prank(where);
        (bool done,) = where.call(data); // as it may; who may is not asked here
        done;
    }

    /// @dev A wallet may not become the token of an identity either, once it has one.
    function takeForToken(uint256 sender, uint256 wallet, uint256 salt) external {
        (address from, address token) = (pick(sender), wallets[wallet % 4]);
        if (identityOf[token] == address(0)) return; // a token's own identity is for good, and no wallet's
        vm.prank(from);
        (bool done,) =
            address(factory).call(abi.encodeCall(IIdFactory.createTokenIdentity, (token, owner, vm.toString(salt))));
        assertFalse(done, "no second identity");
    }

    function wait(uint256 time) external {
        vm.warp(block.timestamp + time % 1 days);
    }

    function recentOffer(uint256 seed) private view returns (address[2] memory) {
        uint256 recent = offers.length < 4 ? offers.length : 4;
        return offers[offers.length - 1 - seed % recent];
    }

    function check() external view {
        for (uint256 w = 0; w < 4; ++w) {
            address wallet = wallets[w];
            address identity = identityOf[wallet];
            assertEq(factory.getIdentity(wallet), identity, "getIdentity");
            assertEq(factory.linkedAt(wallet), since[wallet], "linkedAt");
            bool first = identity == identities[w] || identity == identities[4 + w];
            assertEq(factory.isFirstWallet(wallet), identity != address(0) && first, "isFirstWallet");
            assertEq(factory.isIdentity(wallet), false);
        }
        for (uint256 n = 0; n < 9; ++n) {
            assertEq(factory.isIdentity(identities[n]), n < 8 && identities[n].code.length != 0, "isIdentity");
            address[] memory listed = factory.getWallets(identities[n]);
            uint256 count = 0;
            for (uint256 w = 0; w < 4; ++w) {
                if (identityOf[wallets[w]] == identities[n]) ++count;
            }
            assertEq(listed.length, count, "getWallets");
            for (uint256 i = 0; i < count; ++i) {
                assertEq(identityOf[listed[i]], identities[n]);
                for (uint256 j = 0; j < i; ++j) {
                    assertNotEq(listed[i], listed[j]);
                }
            }
        }
    }

    function link(address wallet, address identity) private {
        assertEq(identityOf[wallet], address(0), "one identity at most");
        assertGe(factory.linkedAt(wallet), lastLinked[wallet], "later than any link before");
        assertEq(factory.linkedAt(wallet), block.timestamp);
        (identityOf[wallet], since[wallet], lastLinked[wallet]) = (identity, block.timestamp, block.timestamp);
    }

    /// @dev For whom the factory hears `sender`: an identity for itself, a wallet for the one that it is linked to, if it manages it.
    function speaksFor(address sender) private view returns (address identity) {
        if (factory.isIdentity(sender)) return sender;
        identity = identityOf[sender];
        if (identity != address(0) && !manages(sender, identity)) return address(0);
    }

    function manages(address account, address identity) private view returns (bool) {
        return account == identity
            || (identity.code.length != 0 && IERC734(identity).keyHasPurpose(keyOf(account), MANAGEMENT));
    }

    /// @dev All of them, the identities that are made, our issuer as a deployer, and a stranger.
    function pick(uint256 seed) private view returns (address) {
        seed %= 12;
        if (seed < 8) return wallets[seed % 4];
        if (seed < 10) return identities[seed - 8];
        return seed == 10 ? address(issuer) : operator;
    }

    function digestOf(bytes32 content) private view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Claimwright IdentityFactory"),
                keccak256("1"),
                block.chainid,
                address(factory)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, content));
    }
}

contract LinksInvariants is Campaign {
    LinksHandler internal handler;

    function setUp() public {
        handler = new LinksHandler();
        bytes4[] memory moves = new bytes4[](11);
        (moves[0], moves[1]) = (handler.create.selector, handler.createMany.selector);
        (moves[2], moves[3]) = (handler.createWithConsent.selector, handler.propose.selector);
        (moves[4], moves[5], moves[6]) = (handler.withdraw.selector, handler.accept.selector, handler.adopt.selector);
        (moves[7], moves[8]) = (handler.unlink.selector, handler.setManager.selector);
        (moves[9], moves[10]) = (handler.takeForToken.selector, handler.wait.selector);
        target(address(handler), moves);
    }

    function invariant_LinksAreWhatBothSidesWanted() public view {
        handler.check();
    }
}
