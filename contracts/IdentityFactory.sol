// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {Identity} from "./Identity.sol";
import {IIdentity} from "./interfaces/IIdentity.sol";
import {IIdentityFactory} from "./interfaces/IIdentityFactory.sol";
import {CloneArguments} from "./libraries/CloneArguments.sol";
import {Purposes} from "./libraries/Purposes.sol";
import {Signatures} from "./libraries/Signatures.sol";

/// @title Makes identities and keeps the links of wallets
/// @dev Its owner names deployers and nothing else: it has no power over an identity or a link that is there.
contract IdentityFactory is IIdentityFactory, Ownable2Step, EIP712 {
    using EnumerableSet for EnumerableSet.AddressSet;

    struct Link {
        address identity;
        uint64 since;
    }

    /// @dev Three words: a signed claim without a uri. Higher where new state is dearer against code (EIP-8037: about 160).
    uint256 private constant CODE_THRESHOLD = 96;
    bytes32 private constant CONSENT = keccak256("Consent(address wallet,address adder,uint256 deadline)");

    /// @inheritdoc IIdentityFactory
    address public immutable implementation;
    /// @inheritdoc IIdentityFactory
    mapping(address issuer => bool) public isDeployer;
    mapping(address wallet => Link) private _links;
    mapping(address identity => EnumerableSet.AddressSet) private _wallets;
    mapping(address identity => mapping(address wallet => address proposer)) private _proposals;

    constructor(address owner_) Ownable(owner_) EIP712("Claimwright IdentityFactory", "1") {
        implementation = address(new Identity(CODE_THRESHOLD));
    }

    /// @inheritdoc IIdentityFactory
    function createFor(address wallet, address adder) external returns (address identity) {
        if (msg.sender != wallet && (msg.sender != adder || !isDeployer[msg.sender])) {
            revert NotAllowedToCreate(msg.sender);
        }
        return _create(wallet, adder);
    }

    /// @inheritdoc IIdentityFactory
    function createForWithConsent(address wallet, address adder, uint256 deadline, bytes calldata signature)
        external
        returns (address identity)
    {
        if (block.timestamp > deadline) revert Expired(deadline);
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(CONSENT, wallet, adder, deadline)));
        if (!_consents(wallet, digest, signature)) revert InvalidConsent();
        return _create(wallet, adder);
    }

    /// @inheritdoc IIdentityFactory
    function proposeLink(address wallet) external {
        if (wallet == address(0)) revert ZeroAddress();
        address identity = _identityOfSender();
        if (_links[wallet].identity != address(0)) revert WalletAlreadyLinkedToIdentity(wallet);
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
        if (_links[msg.sender].identity != address(0)) revert WalletAlreadyLinkedToIdentity(msg.sender);
        address proposer = _proposals[identity][msg.sender];
        if (proposer == address(0) || !_manages(proposer, identity)) revert LinkNotProposed(msg.sender, identity);
        delete _proposals[identity][msg.sender];
        _link(msg.sender, identity);
    }

    /// @inheritdoc IIdentityFactory
    function unlinkWallet(address wallet) external {
        address identity = _links[wallet].identity;
        if (identity == address(0)) revert WalletNotLinked(wallet);
        if (msg.sender != wallet && !_manages(msg.sender, identity)) revert NotAllowedToLink(msg.sender);
        delete _links[wallet];
        _wallets[identity].remove(wallet);
        emit WalletUnlinked(wallet, identity);
    }

    /// @inheritdoc IIdentityFactory
    function setDeployer(address issuer, bool allowed) external onlyOwner {
        if (issuer == address(0)) revert ZeroAddress();
        isDeployer[issuer] = allowed;
        emit DeployerSet(issuer, allowed);
    }

    /// @inheritdoc IIdentityFactory
    function getIdentity(address wallet) external view returns (address) {
        return _links[wallet].identity;
    }

    /// @inheritdoc IIdentityFactory
    function getWallets(address identity) external view returns (address[] memory) {
        return _wallets[identity].values();
    }

    /// @inheritdoc IIdentityFactory
    function isFirstWallet(address wallet) external view returns (bool) {
        address identity = _links[wallet].identity;
        if (identity == address(0)) return false;
        (address first,) = CloneArguments.read(identity);
        return first == wallet;
    }

    /// @inheritdoc IIdentityFactory
    function linkedAt(address wallet) external view returns (uint64) {
        return _links[wallet].since;
    }

    /// @inheritdoc IIdentityFactory
    /// @dev No bookkeeping: an address that follows from what its own code says can only have been made here.
    function isIdentity(address identity) public view returns (bool) {
        if (identity.code.length != CloneArguments.CLONE_SIZE) return false;
        (address wallet, address adder) = CloneArguments.read(identity);
        return predict(wallet, adder) == identity;
    }

    /// @inheritdoc IIdentityFactory
    function predict(address wallet, address adder) public view returns (address) {
        return Clones.predictDeterministicAddressWithImmutableArgs(
            implementation, CloneArguments.encode(wallet, adder), bytes32(0)
        );
    }

    function _create(address wallet, address adder) private returns (address identity) {
        if (wallet == address(0)) revert ZeroAddress();
        if (_links[wallet].identity != address(0)) revert WalletAlreadyLinkedToIdentity(wallet);
        identity = predict(wallet, adder);
        if (identity.code.length != 0) revert IdentityExists(identity);
        Clones.cloneDeterministicWithImmutableArgs(implementation, CloneArguments.encode(wallet, adder), bytes32(0));
        emit Deployed(identity);
        _link(wallet, identity);
    }

    function _link(address wallet, address identity) private {
        _links[wallet] = Link({identity: identity, since: uint64(block.timestamp)});
        _wallets[identity].add(wallet);
        emit WalletLinked(wallet, identity);
    }

    function _identityOfSender() private view returns (address identity) {
        identity = isIdentity(msg.sender) ? msg.sender : _links[msg.sender].identity;
        if (identity == address(0) || !_manages(msg.sender, identity)) revert NotAllowedToLink(msg.sender);
    }

    /// @dev `identity` is one that was made here: its code is ours.
    function _manages(address account, address identity) private view returns (bool) {
        bytes32 key = keccak256(abi.encode(account));
        return account == identity || IIdentity(identity).keyHasPurpose(key, Purposes.MANAGEMENT);
    }

    /// @dev The plain signature first: an account with code may have a key too (EIP-7702).
    function _consents(address wallet, bytes32 digest, bytes calldata signature) private view returns (bool) {
        if (wallet == address(0)) return false;
        if (Signatures.recoverFull(digest, signature) == wallet) return true;
        if (Signatures.recoverCompact(digest, signature) == wallet) return true;
        return wallet.code.length != 0 && SignatureChecker.isValidERC1271SignatureNow(wallet, digest, signature);
    }
}
