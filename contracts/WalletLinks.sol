// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {IIdFactory} from "./interfaces/IIdFactory.sol";
import {IIdentity} from "./interfaces/IIdentity.sol";
import {IIdentityFactory} from "./interfaces/IIdentityFactory.sol";
import {CloneArguments} from "./libraries/CloneArguments.sol";
import {Ids} from "./libraries/Ids.sol";
import {Purposes} from "./libraries/Purposes.sol";

/// @title Which wallet has which identity: at most one, which it or its maker chose and which it may leave at any time
abstract contract WalletLinks is IIdentityFactory {
    using EnumerableSet for EnumerableSet.AddressSet;
    using CloneArguments for bytes;

    struct Link {
        address identity;
        uint64 since;
        bool isToken; // linked by its maker for good, and no wallet
    }

    uint256 private constant MAX_FURTHER = 100;

    mapping(address account => Link) private _links;
    /// @dev Without the wallet that an identity was made for, which stands in its code.
    mapping(address identity => EnumerableSet.AddressSet) private _further;
    mapping(address identity => mapping(address wallet => address proposer)) private _proposals;

    /// @inheritdoc IIdentityFactory
    function proposeLink(address wallet) external {
        if (wallet == address(0)) revert ZeroAddress();
        address identity = _identityOfSender();
        _checkUnlinked(wallet);
        _proposals[identity][wallet] = msg.sender;
        emit WalletLinkProposed(wallet, identity);
    }

    /// @inheritdoc IIdentityFactory
    function withdrawLink(address wallet) external {
        address identity = _identityOfSender();
        if (_proposals[identity][wallet] == address(0)) revert LinkNotProposed(wallet, identity);
        delete _proposals[identity][wallet];
        emit WalletLinkWithdrawn(wallet, identity);
    }

    /// @inheritdoc IIdentityFactory
    function acceptLink(address identity) external {
        address proposer = _proposals[identity][msg.sender];
        _checkUnlinked(msg.sender);
        if (proposer == address(0) || !_manages(proposer, identity)) revert LinkNotProposed(msg.sender, identity);
        delete _proposals[identity][msg.sender];
        _link(msg.sender, identity);
    }

    /// @inheritdoc IIdentityFactory
    function adopt(address identity) external {
        if (!IIdentity(identity).keyHasPurpose(Ids.keyOf(msg.sender), Purposes.MANAGEMENT)) {
            revert NotAllowedToLink(msg.sender);
        }
        _link(msg.sender, identity);
    }

    /// @inheritdoc IIdFactory
    function unlinkWallet(address _oldWallet) external {
        address identity = _links[_oldWallet].identity;
        if (identity == address(0) || _links[_oldWallet].isToken) revert WalletNotLinked(_oldWallet);
        if (msg.sender != _oldWallet && !_manages(msg.sender, identity)) revert NotAllowedToLink(msg.sender);
        delete _links[_oldWallet];
        _further[identity].remove(_oldWallet);
        emit WalletUnlinked(_oldWallet, identity);
    }

    /// @inheritdoc IIdFactory
    function getIdentity(address _wallet) public view returns (address) {
        return _links[_wallet].identity;
    }

    /// @inheritdoc IIdFactory
    function getWallets(address _identity) external view returns (address[] memory wallets) {
        address first = _firstWallet(_identity);
        if (first == address(0) || _links[first].identity != _identity) return _further[_identity].values();
        wallets = new address[](1 + _further[_identity].length());
        wallets[0] = first;
        for (uint256 i = 1; i < wallets.length; ++i) {
            wallets[i] = _further[_identity].at(i - 1);
        }
    }

    /// @inheritdoc IIdentityFactory
    function isFirstWallet(address wallet) external view returns (bool) {
        address identity = _links[wallet].identity;
        return identity != address(0) && _firstWallet(identity) == wallet;
    }

    /// @inheritdoc IIdentityFactory
    function linkedAt(address wallet) external view returns (uint64) {
        return _links[wallet].since;
    }

    /// @inheritdoc IIdentityFactory
    function isIdentity(address identity) public view virtual returns (bool);

    /// @dev For the wallet that `identity` was just made for: it needs no place in a list.
    function _linkFirst(address wallet, address identity) internal {
        _checkUnlinked(wallet);
        _setLink(wallet, identity, false);
        emit WalletLinked(wallet, identity);
    }

    function _link(address wallet, address identity) internal {
        if (wallet != _firstWallet(identity)) {
            if (_further[identity].length() == MAX_FURTHER) revert MaxWalletsPerIdentityExceeded();
            _further[identity].add(wallet);
        }
        _linkFirst(wallet, identity);
    }

    function _linkToken(address token, address identity) internal {
        if (_links[token].identity != address(0)) revert TokenAlreadyLinked(token);
        _setLink(token, identity, true);
        emit TokenLinked(token, identity);
    }

    function _checkUnlinked(address wallet) internal view {
        if (_links[wallet].identity != address(0)) revert WalletAlreadyLinkedToIdentity(wallet);
    }

    function _setLink(address account, address identity, bool isToken) private {
        _links[account] = Link({identity: identity, since: uint64(block.timestamp), isToken: isToken});
    }

    /// @dev Only code that was made here is believed.
    function _firstWallet(address identity) private view returns (address) {
        return isIdentity(identity) ? CloneArguments.read(identity).firstManager() : address(0);
    }

    function _identityOfSender() private view returns (address identity) {
        identity = isIdentity(msg.sender) ? msg.sender : _links[msg.sender].identity;
        if (identity == address(0) || !_manages(msg.sender, identity)) revert NotAllowedToLink(msg.sender);
    }

    function _manages(address account, address identity) private view returns (bool) {
        return account == identity || IIdentity(identity).keyHasPurpose(Ids.keyOf(account), Purposes.MANAGEMENT);
    }
}
