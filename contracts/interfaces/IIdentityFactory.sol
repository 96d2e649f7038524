// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {IIdFactory} from "./IIdFactory.sol";

/// @title Makes identities and says which wallet belongs to which
/// @notice A wallet is linked to at most one identity. The address of an identity depends on its first wallet and its adder only;
/// that of one made with a salt, on its manager and the salt.
interface IIdentityFactory is IIdFactory {
    event WalletLinkProposed(address indexed wallet, address indexed identity);
    event WalletLinkWithdrawn(address indexed wallet, address indexed identity);
    event DeployerSet(address indexed issuer, bool allowed);

    error ZeroAddress();
    error WalletAlreadyLinkedToIdentity(address wallet);
    error WalletNotLinked(address wallet);
    /// @notice Made before; its first wallet has been unlinked since. Link it by `proposeLink` and `acceptLink`.
    error IdentityExists(address identity);
    error NotAllowedToCreate(address sender);
    error NotAllowedToLink(address sender);
    error LinkNotProposed(address wallet, address identity);
    /// @notice 100 further wallets.
    error MaxWalletsPerIdentityExceeded();
    error Expired(uint256 deadline);
    error InvalidConsent();
    error LengthMismatch();

    /// @notice Makes the identity of `wallet`, which is its first manager, and links them.
    /// @dev Sent by the wallet itself, or by a registered deployer that names itself as the adder.
    function createFor(address wallet, address adder) external returns (address identity);

    /// @notice The same by anyone who has the wallet's EIP-712 consent: `Consent(address wallet,address adder,uint256 deadline)` in the domain
    /// {"Claimwright IdentityFactory", "1", chainId, this}. The signature is 65 or 64 bytes (EIP-2098), or ERC-1271.
    /// @dev Needs no nonce: the identity that it makes can be made only once.
    function createForWithConsent(address wallet, address adder, uint256 deadline, bytes calldata signature)
        external
        returns (address identity);

    /// @notice One `createFor` for each wallet by one deployer. A wallet that is linked or whose identity exists is passed over, and so is address zero.
    /// @return identities in the order of the wallets; zero where one was passed over
    function createMany(address[] calldata wallets, address adder) external returns (address[] memory identities);

    /// @notice Links the sender to an identity made elsewhere, of which it is a manager. `isIdentity` stays false, and as for any further wallet only
    /// claims issued after the link count.
    function adopt(address identity) external;

    /// @notice Proposes `wallet` for the sender's identity: the one that a manager is linked to, or the identity itself (by `execute`).
    function proposeLink(address wallet) external;

    /// @notice Takes such a proposal back. Any manager of that identity, or the identity itself.
    function withdrawLink(address wallet) external;

    /// @notice Links the sender to `identity`. The proposal counts only while who made it is still a manager.
    function acceptLink(address identity) external;

    /// @notice Lets a ClaimIssuer make identities that name it as the adder. Only the owner.
    function setDeployer(address issuer, bool allowed) external;

    function isDeployer(address issuer) external view returns (bool);

    /// @notice Where `createFor(wallet, adder)` puts the identity.
    function predict(address wallet, address adder) external view returns (address);

    /// @notice For each wallet its identity, or where `createFor(wallet, issuer)` would put it, and the issuer's epoch of it for the topic beside it.
    /// @dev One question in the place of three for each claim that an issuer is about to make. Lists of two lengths revert.
    function standings(address issuer, address[] calldata wallets, uint256[] calldata topics)
        external
        view
        returns (address[] memory identities, uint256[] memory epochs);

    /// @notice Whether this factory made it. Never reverts.
    function isIdentity(address identity) external view returns (bool);

    /// @notice Whether `wallet` is linked to the identity that was made for it.
    function isFirstWallet(address wallet) external view returns (bool);

    /// @notice Unix seconds of the link, 0 if there is none.
    function linkedAt(address wallet) external view returns (uint64);

    function implementation() external view returns (address);

    /// @notice As `implementation`, for callers of ONCHAINID's implementation authority.
    function getImplementation() external view returns (address);
}
